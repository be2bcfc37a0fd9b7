// SPDX-License-Identifier: Apache-2.0
// RapidCheck with its GoogleTest glue, which needs gtest.h first. Heavy: include it in one test file a folder.
// Tests only.
// A failing property prints the seed; RC_PARAMS="seed=…" repeats it.
#pragma once

#include <gtest/gtest.h>
// Behind gtest.h, on purpose.
#include <rapidcheck.h>
#include <rapidcheck/gtest.h>
