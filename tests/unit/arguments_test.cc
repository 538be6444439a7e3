/* Objects of classes among the arguments of a worker. */
#include "../support.h"

#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <string>
#include <unistd.h>

namespace
{

/* Objects that are arguments are made by the worker: who makes it would wait for
   ever. */
class Arguments : public testing::Test
{
protected:
  void SetUp() override
  {
    const std::string folder = ::testing::TempDir();
    module_ = "bridge_loops" + std::to_string(getpid());
    path_ = folder + "/" + module_ + ".lua";
    std::ofstream(path_) << "local Loop = {}\n"
                            "function Loop.__bridge_unpack()\n"
                            "  while true do local t = {} end\n"
                            "end\n"
                            "require 'bridge'.register('Loop', Loop)\n";
    setenv("LUA_PATH", (folder + "/?.lua").c_str(), 1);
  }

  void TearDown() override
  {
    bridge_worker_release(worker_);
    unsetenv("LUA_PATH");
    std::remove(path_.c_str());
  }

  /* What an object of that class is on its way. */
  bridge_message *object()
  {
    bridge_message *made = nullptr;
    EXPECT_EQ(BRIDGE_OK, bridge_message_create(&made, 0));
    bridge_message_begin_object(made, BRIDGE_TYPE_OBJECT, 0);
    bridge_message_write_string(made, "Loop", 4);
    bridge_message_write_string(made, module_.data(), module_.size());
    EXPECT_EQ(BRIDGE_OK, bridge_message_end(made));
    return made;
  }

  void start(int timeout_ms, bridge_drive drive = BRIDGE_DRIVE_THREAD)
  {
    bridge_worker_options options;
    bridge_worker_options_init(&options);
    options.source = "return 1";
    options.life.timeout_ms = timeout_ms;
    options.drive = drive;
    bridge_message *arguments = object();
    bridge_error *error = nullptr;
    ASSERT_EQ(BRIDGE_OK,
              bridge_worker_create(&worker_, &options, &arguments, &error))
        << bridge_error_text(error, nullptr);
    EXPECT_EQ(nullptr, arguments);
  }

  /* It loops there by now. */
  void meet()
  {
    bridge_worker_info info;
    do {
      bridge_worker_info_init(&info);
      ASSERT_EQ(BRIDGE_OK, bridge_worker_look(worker_, &info));
    } while (std::string(info.running) != "main chunk");
    bridge_error *where = nullptr;
    ASSERT_EQ(BRIDGE_OK, bridge_worker_traceback(worker_, -1, &where));
    bridge_error_release(where);
  }

  bridge_status Join()
  {
    bridge_error *error = nullptr;
    bridge_status status = bridge_worker_join(worker_, -1, nullptr, &error);
    said_ = bridge_error_text(error, nullptr);
    bridge_error_release(error);
    return status;
  }

  std::string module_;
  std::string path_;
  bridge_worker *worker_ = nullptr;
  std::string said_;
};

TEST_F(Arguments, AreStoppedByALimit)
{
  start(200);
  EXPECT_EQ(BRIDGE_ETIMEDOUT, Join());
  EXPECT_EQ("the script ran for more than 200 ms", said_);
}

TEST_F(Arguments, AreStoppedByACancelAndAClose)
{
  start(0);
  meet();
  EXPECT_EQ(BRIDGE_OK, bridge_worker_cancel(worker_, BRIDGE_STOP_DEFAULT, 0));
  EXPECT_EQ(BRIDGE_ECANCELLED, Join());
  bridge_worker_release(worker_);
  start(0);
  meet();
  EXPECT_EQ(BRIDGE_OK, bridge_worker_close(worker_, 100));
}

TEST_F(Arguments, AreMadeInAStepOfTheHost)
{
  start(100, BRIDGE_DRIVE_HOST);
  bridge_error *error = nullptr;
  EXPECT_EQ(BRIDGE_ECLOSED, bridge_worker_step(worker_, 0));
  EXPECT_EQ(BRIDGE_ETIMEDOUT, bridge_worker_join(worker_, 0, nullptr, &error));
  bridge_error_release(error);
  bridge_worker_release(worker_);
  start(100, BRIDGE_DRIVE_HOST); /* and not at all without one */
  EXPECT_EQ(BRIDGE_OK, bridge_worker_close(worker_, -1));
}

TEST_F(Arguments, ThatCannotBeMadeEndTheWorker)
{
  std::ofstream(path_) << "error('not this one')";
  start(0);
  EXPECT_EQ(BRIDGE_ETYPE, Join());
  EXPECT_NE(std::string::npos, said_.find("not this one")) << said_;
}

TEST_F(Arguments, StayWhereNoWorkerIsMade)
{
  bridge_worker_options options;
  bridge_worker_options_init(&options);
  options.source = "return 1";
  options.stack_size = SIZE_MAX / 2; /* no thread can have that */
  bridge_message *arguments = object();
  EXPECT_NE(BRIDGE_OK,
            bridge_worker_create(&worker_, &options, &arguments, nullptr));
  EXPECT_NE(nullptr, arguments);
  bridge_message_release(arguments);
}

} // namespace
