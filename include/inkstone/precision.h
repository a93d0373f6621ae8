// Small formats: training in 16 bits (loss scaling, master weights), tensors rounded to any format, and what is lost by
// it. Beside inkstone/ink.h, which has autocast.
#pragma once
#include "autograd/observe/precision/emulate.h"
#include "autograd/observe/precision/numerics.h"
#include "autograd/observe/precision/rounded.h"
#include "autograd/observe/precision/tf32.h"

#include "optim/precision/grad_scaler.h"
#include "optim/precision/master_weights.h"
