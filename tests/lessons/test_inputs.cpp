// The lessons' own programs, given wrong input: each says so in one line before its first section.
#include <sys/wait.h>

#include <cstdio>
#include <string>
#include <vector>

#include "tests/catch.h"

namespace {

struct Ended {
  int code;
  std::string text;  // standard output and error
};

Ended run(const std::string& lesson, const std::string& words) {
  const std::string line =
      INK_BINARY_DIR "/" + lesson + " --tiny --out " INK_BINARY_DIR "/lesson_inputs " + words + " 2>&1";
  std::FILE* pipe = popen(line.c_str(), "r");
  REQUIRE(pipe);
  Ended e{0, ""};
  char buffer[4096];
  for (size_t n; (n = std::fread(buffer, 1, sizeof buffer, pipe)) > 0;) e.text.append(buffer, n);
  const int status = pclose(pipe);
  e.code = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  return e;
}

// Exit code 2, the message, and no title of a section.
void refused(const std::string& lesson, const std::string& words, const std::string& message) {
  Ended e = run(lesson, words);
  INFO(lesson << " " << words << " said: " << e.text);
  CHECK(e.code == 2);
  CHECK_THAT(e.text, contains(message));
  CHECK(e.text.find("── ") == std::string::npos);
}

const std::vector<std::string> kLessons = {"00_first_steps",        "00_char_lm",          "01_sliding_window_max",
                                           "04_flash_attention",    "06_linear_attention", "08_gau_flash",
                                           "11_efficient_attention"};
}  // namespace

TEST_CASE("every lesson refuses unknown options, missing data and an output folder that is none", "[inputs]") {
  for (const std::string& lesson : kLessons) {
    refused(lesson, "--outt x", "unknown option --outt; did you mean --out?");
    refused(lesson, "--data /nope", "--data: cannot read '/nope': No such file or directory");
    refused(lesson, "--out /dev/null/x", "--out: '/dev/null' is no folder");
    refused(lesson, "--trace /nope/t", "--trace: cannot write '/nope/t': there is no such folder");
    refused(lesson, "--seed -1", "--seed: too small");
  }
}

TEST_CASE("lessons that read data look at it first", "[inputs]") {
  for (const char* lesson : {"00_first_steps", "01_sliding_window_max", "00_char_lm", "04_flash_attention",
                             "06_linear_attention", "08_gau_flash"}) {
    refused(lesson, "--data " INK_SOURCE_DIR "/cmake", "--data: data: no file '");
    refused(lesson, "--data /dev/null", "--data: ");
  }
  for (const char* lesson : {"00_first_steps", "01_sliding_window_max"})  // a file of another kind
    refused(lesson, "--data " INK_SOURCE_DIR "/tests/catch.h", "--data: ");
}

TEST_CASE("sizes that a lesson cannot run with are refused", "[inputs]") {
  refused("00_first_steps", "--epochs 0", "--epochs: too small; got 0; expected at least 1");
  refused("00_first_steps", "--dropout 1", "--dropout: not a share");
  refused("00_char_lm", "--heads 3", "--heads: MultiHeadAttention: dim must be a multiple of heads");
  refused("00_char_lm", "--context 100000", "the text is too short");
  refused("00_char_lm", "--lr 0", "--lr: not a positive number");
  refused("01_sliding_window_max", "--samples 1", "--samples: too small");
  refused("04_flash_attention", "--counted 300", "--counted: got 300; expected a multiple of 64");
  refused("06_linear_attention", "--length 1", "--length: too small");
  refused("08_gau_flash", "--s 3", "--s: got 3; expected a multiple of 2");
  refused("08_gau_flash", "--characters 1", "--characters: got 1; expected at least 4 times --context 16");
  refused("11_efficient_attention", "--tokens 1", "--tokens: too small");
}

TEST_CASE("the language model looks at its prompt and its checkpoint first", "[inputs]") {
  refused("00_char_lm", "--prompt '\u0436'", "--prompt: CharText: a character is not in the vocabulary; got U+0436");
  refused("00_char_lm", "--prompt ''", "--prompt: the prompt is empty");
  refused("00_char_lm", "--checkpoint /nope/run", "--checkpoint: cannot write '/nope/run'");
  refused("00_char_lm", "--checkpoint " INK_SOURCE_DIR "/README.md", "--checkpoint: load_safetensors");
}
