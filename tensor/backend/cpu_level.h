// Which CPU level's kernels this process uses.
#pragma once
namespace ink {

const char* cpu_level();  // "v4", "v3", "base" or "scalar"; NotSupported if the build has none for this CPU

}  // namespace ink
