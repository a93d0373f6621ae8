// Which CPU level's kernels this process uses.
#pragma once
namespace ink {

const char* cpu_level();  // "v4", "v3", "base" or "scalar"; NotSupported if the build has none for this CPU

bool cpu_runs_v3();  // does this CPU have AVX2, FMA and what else x86-64-v3 needs here?
bool cpu_runs_v4();  // and AVX-512?

}  // namespace ink
