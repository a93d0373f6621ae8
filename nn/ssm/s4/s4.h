// S4: a state space model whose matrix is HiPPO's, kept as diagonal plus low rank (Gu et al. 2021, arXiv 2111.00396).
#pragma once
#include "nn/module.h"
#include "nn/ssm/s4/convolution.h"
#include "nn/ssm/s4/dplr.h"
#include "nn/ssm/s4/truncation.h"

namespace ink {

struct S4Options {
  int64_t dim;                              // channels
  int64_t length;                           // of the longest sequence: the trained C-tilde is made for it
  int64_t state = 64;                       // N, both conjugates counted: even
  HippoKind init = HippoKind::legs;         // or legt, fout, with a window of 2 / Delta steps
  SsmForm form = SsmForm::convolution;      // or recurrent; there is no scan, as A is not diagonal
  double step_min = 1e-3, step_max = 1e-1;  // Delta starts log-uniform between them, one for each channel
};

// [batch, time, dim] -> the same, by the bilinear discretisation. Every channel has a matrix, B, C and step of its own.
// The matrix cannot become unstable: Lambda keeps a negative real part, and -P P^* only takes energy away.
//
// C-tilde = C (1 - A_bar^length) is trained, not C. A sequence that is longer than `length()` is refused by forward
// (not by step, which needs no length): extend() makes C-tilde anew for it. A layer that loads parameters must have the
// length of the one that saved them; another is a ShapeError.
//
// Gu et al. train all but C, D and what follows at a rate of at most 1e-3 and without weight decay: `timing()`.
struct S4 : Module {
  struct Prepared {
    DplrStep step;
    Tensor C;
  };
  struct State {
    int64_t time = 0;
    Tensor x;  // [batch, dim, N / 2], complex
    std::vector<Tensor*> tensors() { return {&x}; }
    Derived<Prepared> prepared;  // from the parameters; made at the first step
  };
  S4Options options;
  // The step sizes times this: 2 for sequences that are sampled half as densely as those of training. Exact, through C.
  double rate = 1;
  Param log_step;              // [dim]
  Param log_decay, frequency;  // Lambda = -e^log_decay + i frequency, [dim, N / 2]
  Param P;                     // [dim, rank, N / 2, 2], complex as pairs, so that any optimizer can train it
  Param B, C;                  // [dim, N / 2, 2]; C is C-tilde
  Param D;                     // [dim]
  Buffer prepared_length;      // of so many zeros: its shape tells which length C-tilde is made for

  // ValueError for sizes below 1, an odd state, steps that are not positive and finite or in the wrong order, a form
  // or a kind of HiPPO that does not fit.
  explicit S4(const S4Options& options);
  int64_t length() const { return prepared_length.size(0); }
  // ValueError for a sequence that is longer than length().
  Tensor forward(const Tensor& x) const;
  // The next steps of a sequence, O(N) each. ShapeError for a state of another batch or layer.
  Tensor step(const Tensor& x, State& state) const;
  // Doubles the length that C-tilde is made for until it is at least `length`; the kernel so far stays what it is.
  void extend(int64_t length);

  Tensor kernel(int64_t length) const;  // K_0 .. K_{length-1}, [dim, length]; ValueError beyond length()
  // The eigenvalues of A, c128 [dim, N]; see low_rank_eigenvalues for how good they are.
  Tensor poles() const;
  Dplr system() const;                 // Lambda, P, B, and C-tilde as C
  Tensor output() const;               // C itself, [dim, N / 2]: a solve with dense matrices, O(N^3 log length)
  std::vector<Tensor> timing() const;  // what should learn slowly: log_step, log_decay, frequency, P, B
  void fields(Fields& f) override;

 private:
  Tensor steps() const;                  // Delta without the rate, [dim]
  Tensor transition(double rate) const;  // A_bar as dense matrices [dim, N, N], c128
  Tensor run(const Tensor& u, State& state) const;
};

}  // namespace ink
