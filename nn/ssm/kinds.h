// The kinds of state space layers and linear recurrent networks, and the layers of a block of each. A list of them, and
// of kinds of attention, makes a hybrid model (nn/models/gpt.h):
//
//   TransformerBlock block(SsmOptions{.kind = SsmKind::retnet, .dim = 64, .heads = 4});
#pragma once
#include <string>
#include <vector>

#include "autograd/recurrence.h"
#include "nn/mixer.h"
#include "nn/ssm/matrix_state.h"

namespace ink {

// n: the number of tokens. kinds.cpp has a row for each. All are causal, take O(n) time and keep a state that does not
// grow.
enum class SsmKind {
  s4,               // a fixed system, HiPPO's matrix less one of low rank, as a convolution. Gu et al. 2022
  s4d,              // the same with a diagonal matrix. Gu et al. 2022b
  rtf,              // the same by the quotient of two polynomials. Parnichkun et al. 2024
  lru,              // complex numbers that turn and fade, fixed per channel. Orvieto et al. 2023
  slru,             // the same with real numbers. Su 2023
  mamba,            // numbers that fade by a step which the token chooses. Gu & Dao 2023
  mamba2,           // a matrix per head that fades so. Dao & Gu 2024
  mamba3,           // the same, turning and with a second-order rule for the input. Lahoti et al. 2026
  retnet,           // a sum of key-value pairs that fades by a fixed factor per head. Sun et al. 2023
  gla,              // such a sum that fades by a factor per key channel and token. Yang et al. 2024
  delta_net,        // what stands under a key is replaced. Yang et al. 2024b
  gated_delta_net,  // the same, and all fades by a factor per head and token. Yang et al. 2025
  kimi_delta,       // the same by a factor per key channel and token. Kimi Team 2025
  rwkv4,            // a mean of values weighed by e^k, per channel. Peng et al. 2023
  rwkv6,            // a matrix that fades per key channel and token, read before it is written. Peng et al. 2024
  rwkv7,            // the delta rule with strengths per channel and a removal key of its own. Peng et al. 2025
};

// What every kind's layers are made from; what is not said here they have by their usual sizes.
struct SsmOptions {
  SsmKind kind;
  int64_t dim, heads = 4;               // kinds without heads do not look at them
  StateForm form = StateForm::chunked;  // recurrences of numbers go by the scan of that kind (scan_of)
  int64_t chunk = 16;                   // steps, of the chunked form
  int64_t layer = 0, layers = 1;        // which of how many blocks: RWKV starts deeper ones differently
  int64_t length = 1024;                // of the longest sequence: s4 and rtf are made for one
};

// What is known of a kind. A new one is a row in kinds.cpp, and what the row makes.
struct SsmRow {
  SsmKind kind;
  const char* name;
  bool matrix;  // the state is a matrix per head (matrix_state), else numbers per channel (linear_recurrence)
  // The layers of a block. If there is one alone, a feed-forward layer follows it, as in a block with attention.
  std::vector<AnyMixer> (*mixers)(const SsmOptions&);
};
const SsmRow& row_of(SsmKind kind);

// The algorithm by which layers with a recurrence of numbers compute that form.
ScanAlgorithm scan_of(StateForm form);

const char* name_of(SsmKind kind);
SsmKind ssm_kind(const std::string& name);  // ValueError listing the names
std::vector<SsmKind> all_ssm_kinds();

}  // namespace ink
