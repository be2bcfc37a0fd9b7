// SPDX-License-Identifier: Apache-2.0
// For objects of the crypto library that end by a function of their own: std::unique_ptr<X509, Deleter<X509_free>>.
// Used by base/crypto*.cpp only.
#pragma once

namespace msp {

template <auto Free>
struct Deleter {
  template <class T>
  void operator()(T* p) const {
    Free(p);
  }
};

}  // namespace msp
