// The headers that declare ops: what must have a row in the specs and an entry in the fuzz test.
#pragma once
#include <fstream>
#include <regex>
#include <string>
#include <vector>

namespace ink::test {

// autograd/attention.h, autograd/recurrence.h, and the headers of the families that autograd/ops.h includes.
inline std::vector<std::string> op_headers() {
  std::vector<std::string> all{INK_SOURCE_DIR "/autograd/attention.h", INK_SOURCE_DIR "/autograd/recurrence.h"};
  std::ifstream file(INK_SOURCE_DIR "/autograd/ops.h");
  const std::regex include(R"(^#include "(autograd/ops/[^"]+)\")");
  std::smatch match;
  for (std::string line; std::getline(file, line);)
    if (std::regex_search(line, match, include)) all.push_back(INK_SOURCE_DIR "/" + match[1].str());
  return all;
}

}  // namespace ink::test
