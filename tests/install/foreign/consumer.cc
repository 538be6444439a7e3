/* A stranger's program in C++: messages of a worker's queue, with the headers'
   names in a namespace and the handles in smart pointers. */
#include <bridge/bridge.h>

#include <cstdint>
#include <cstdio>
#include <cstring>
#include <memory>
#include <string>

namespace stranger
{
template <auto Release> struct Releaser {
  template <class T> void operator()(T *handle) const
  {
    Release(handle);
  }
};

using Message =
    std::unique_ptr<bridge_message, Releaser<bridge_message_release>>;
using Worker = std::unique_ptr<bridge_worker, Releaser<bridge_worker_release>>;

Worker start(const std::string &source)
{
  bridge_worker_options options;
  bridge_worker_options_init(&options);
  options.source = source.data();
  options.source_size = source.size();
  bridge_worker *worker = nullptr;
  bridge_worker_create(&worker, &options, nullptr, nullptr);
  return Worker(worker);
}

std::int64_t answer(const Worker &worker)
{
  bridge_message *results = nullptr;
  if (bridge_worker_join(worker.get(), 30000, &results, nullptr) != BRIDGE_OK) {
    return -1;
  }
  const Message owner(results);
  bridge_reader reader;
  bridge_value value;
  bridge_reader_init(&reader, results);
  return bridge_reader_next(&reader, &value) == BRIDGE_OK ? value.as.integer
                                                          : -1;
}
} // namespace stranger

int main()
{
  const stranger::Worker worker = stranger::start("return 6 * 7");
  const std::int64_t number = stranger::answer(worker);
  std::printf("libbridge %s from C++: %lld\n", bridge_version(),
              static_cast<long long>(number));
  return number == 42 ? 0 : 1;
}
