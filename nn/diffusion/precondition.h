// Preconditioners: what stands between a network F and the denoiser
//
//   D(x, sigma) = c_skip x + c_out F(c_in x, c_noise)
//
// so that F sees inputs of about unit variance and is asked for targets of about unit variance. One struct each for
// what the families feed to their networks and read from them. Karras et al. 2022, section 5 and table 1.
#pragma once
#include "nn/diffusion/ddpm.h"
#include "nn/diffusion/denoiser.h"

namespace ink::diffusion {

struct Preconditioning {
  double skip, out, in;
  double noise;  // what F is told of the noise level
  // The weight of a squared error of D in the loss: 1 / c_out^2, which leaves the error of F unweighted.
  double weight() const { return 1 / (out * out); }
};

class Preconditioner {
 public:
  virtual ~Preconditioner() = default;
  virtual Preconditioning at(double sigma) const = 0;  // sigma >= 0; noise is finite at 0 too
  // What a saved model names it by: make_preconditioner(name, constants) is the same again.
  virtual std::string name() const { return "custom"; }
  virtual std::vector<double> constants() const { return {}; }
};

// EDM: unit variance of input and target, and the smallest c_out, for data of standard deviation sigma_data.
struct EdmPreconditioner : Preconditioner {
  double sigma_data;
  explicit EdmPreconditioner(double sigma_data = 0.5);  // ValueError unless positive
  Preconditioning at(double sigma) const override;
  std::string name() const override { return "edm"; }
  std::vector<double> constants() const override { return {sigma_data}; }
};

// F predicts eps from the variance-preserving state, told (M - 1) t. Song et al. 2021.
struct VpPreconditioner : Preconditioner {
  VariancePreserving process;
  double scale;  // M - 1, from the time in [0, 1] to what F was trained with
  explicit VpPreconditioner(VariancePreserving process = VariancePreserving(), double scale = 999)
      : process(process), scale(scale) {}
  Preconditioning at(double sigma) const override;
  std::string name() const override { return "vp"; }
  std::vector<double> constants() const override { return {process.beta_min, process.beta_max, scale}; }
};

// F predicts -eps (the score times sigma) from x itself, told ln(sigma / 2). Song et al. 2021.
struct VePreconditioner : Preconditioner {
  Preconditioning at(double sigma) const override;
  std::string name() const override { return "ve"; }
};

// F predicts eps from DDPM's state, told the row (from 0) of the step whose noise level is nearest. Ho et al. 2020,
// Nichol & Dhariwal 2021.
struct DdpmPreconditioner : Preconditioner {
  Ddpm process;
  explicit DdpmPreconditioner(Ddpm process = Ddpm(BetaSchedule::cosine)) : process(std::move(process)) {}
  Preconditioning at(double sigma) const override;
  std::string name() const override { return "iddpm"; }
  std::vector<double> constants() const override { return process.constants(); }
};

// F predicts the velocity eps - x_0 from x_t = (1 - t) x_0 + t eps, told t = sigma / (1 + sigma). Lipman et al. 2023.
struct FlowPreconditioner : Preconditioner {
  Preconditioning at(double sigma) const override;
  std::string name() const override { return "flow_matching"; }
};

// F predicts v = a eps - b x_0 from the variance-preserving state, told ln(sigma) / 4. With sigma_data = 1, EDM's F is
// -v. Salimans & Ho 2022.
struct VPredictionPreconditioner : Preconditioner {
  Preconditioning at(double sigma) const override;
  std::string name() const override { return "v"; }
};

// The preconditioner that name() and constants() of another one describe; NotSupported for a name that is none of the
// library's.
std::unique_ptr<Preconditioner> make_preconditioner(const std::string& name, const std::vector<double>& constants);

// x [batch, ..], c_noise [batch], cond -> F, of x's shape, in x's dtype.
using Network = FunctionRef<Tensor(const Tensor& x, const Tensor& noise, const Tensor& cond)>;

// A network as a denoiser. Preconditioner and network must outlive it. The network is run in `dtype`, whatever x has: D
// is of x's dtype, and c_skip x keeps its digits.
struct NetworkDenoiser {
  const Preconditioner& preconditioner;
  Network network;
  DType dtype = f32;
  Tensor operator()(const Tensor& x, const Tensor& sigma, const Tensor& cond = {}) const;
};

// The standard deviation of all elements of the data, which is EDM's sigma_data.
double measure_sigma_data(const Tensor& data);
// Warns (nn/warning.h) if sigma_data is less than half or more than twice that of the data.
void check_sigma_data(double sigma_data, const Tensor& data);

}  // namespace ink::diffusion
