#ifndef BRIDGE_EXPORT_H
#define BRIDGE_EXPORT_H

/**
 * @file
 * What a declaration of the bridge needs from the compiler: visibility, and C
 * linkage for C++.
 */

#if defined(SWIG)
#define BRIDGE_API
#elif defined(BRIDGE_STATIC)
#define BRIDGE_API
#elif defined(_WIN32)
#if defined(BRIDGE_BUILD)
#define BRIDGE_API __declspec(dllexport)
#else
#define BRIDGE_API __declspec(dllimport)
#endif
#else
#define BRIDGE_API __attribute__((visibility("default")))
#endif

#ifdef __cplusplus
#define BRIDGE_BEGIN_DECLS extern "C" {
#define BRIDGE_END_DECLS   }
#else
#define BRIDGE_BEGIN_DECLS
#define BRIDGE_END_DECLS
#endif

#endif /* BRIDGE_EXPORT_H */
