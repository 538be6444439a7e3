/* The end of a process while workers run: at once, with the status that was
   meant, and without a word. */
#include "fault.h"

#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>

#include <fstream>
#include <sstream>
#include <vector>

namespace
{

class Exit : public testing::TestWithParam<const char *>
{
};

/* A host that has ended is not looked at for leaks: its workers still hold what
   they hold. */
std::vector<char *> surroundings()
{
  static std::vector<std::string> texts;
  texts.clear();
  for (char **each = environ; *each != nullptr; each++) {
    std::string text = *each;
    if (text.rfind("ASAN_OPTIONS=", 0) != 0 &&
        text.rfind("TSAN_OPTIONS=", 0) != 0) {
      texts.push_back(text);
    }
  }
  texts.push_back("TSAN_OPTIONS=report_thread_leaks=0");
  texts.push_back("ASAN_OPTIONS=detect_leaks=0:allocator_may_return_null=1");
  std::vector<char *> pointers;
  for (std::string &text : texts) {
    pointers.push_back(text.data());
  }
  pointers.push_back(nullptr);
  return pointers;
}

/* The wait status of the host, and what it said. */
int run(std::string how, std::string *said)
{
  std::string path = EXIT_HOST;
  std::string output =
      testing::TempDir() + "exit_fault" + std::to_string(getpid()) + how;
  posix_spawn_file_actions_t files;
  posix_spawn_file_actions_init(&files);
  posix_spawn_file_actions_addopen(&files, 1, output.c_str(),
                                   O_CREAT | O_WRONLY | O_TRUNC, 0600);
  posix_spawn_file_actions_adddup2(&files, 1, 2);
  char *arguments[] = {path.data(), how.data(), nullptr};
  pid_t child = 0;
  EXPECT_EQ(posix_spawn(&child, path.c_str(), &files, nullptr, arguments,
                        surroundings().data()),
            0);
  posix_spawn_file_actions_destroy(&files);
  int status = -1;
  EXPECT_EQ(waitpid(child, &status, 0), child);
  std::ostringstream text;
  text << std::ifstream(output).rdbuf();
  *said = text.str();
  std::remove(output.c_str());
  return status;
}

TEST_P(Exit, EndsTheProcess)
{
  const int rounds = TESTS_SANITIZED ? 1 : 4;
  for (int i = 0; i < rounds; i++) {
    std::string said;
    int status = run(GetParam(), &said);
    EXPECT_TRUE(WIFEXITED(status)) << "signal " << WTERMSIG(status);
    EXPECT_EQ(WEXITSTATUS(status), 3);
    EXPECT_EQ(said, "");
  }
}

INSTANTIATE_TEST_SUITE_P(Every,
                         Exit,
                         testing::Values("return",
                                         "exit",
                                         "quick_exit",
                                         "_exit",
                                         "thread",
                                         "close",
                                         "release",
                                         "released"),
                         [](const auto &each) {
                           return std::string(each.param);
                         });

} // namespace
