// The parts of lesson 12, section by section.
#pragma once
#include "examples/12_medusa/coloured.h"
#include "examples/12_medusa/learning.h"
#include "examples/12_medusa/looking.h"
#include "examples/12_medusa/passes.h"
#include "examples/12_medusa/sampled.h"
#include "examples/12_medusa/setup.h"
#include "examples/12_medusa/speed.h"
#include "examples/12_medusa/traps.h"
