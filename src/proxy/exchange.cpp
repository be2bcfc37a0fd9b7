// SPDX-License-Identifier: Apache-2.0
#include "proxy/exchange.h"

namespace msp::proxy {
namespace {

constexpr std::size_t kKeptBytes = 16 * 1024;

void clear_or_shrink(std::string& text) {
  if (text.capacity() > kKeptBytes) {
    std::string().swap(text);
  }
  text.clear();
}

}  // namespace

void Exchange::reset() {
  arena.reset();
  canonical_fault = request::Fault::kNone;
  clear_or_shrink(outbound);
  clear_or_shrink(out);
  clear_or_shrink(body);
  clear_or_shrink(caller);
  clear_or_shrink(refusal);
  refusal_words = {};
  body_view = {};
  record = audit::Record();
  framing = {};
  decided.reset();
  gate.reset();
  sent.reset();
  have_head = exempt = persistent = body_pending = consumed = false;
  head_size = 0;
}

std::unique_ptr<Exchange> ExchangePool::take() {
  if (cache_.empty()) {
    return std::make_unique<Exchange>();
  }
  auto exchange = std::move(cache_.back());
  cache_.pop_back();
  return exchange;
}

void ExchangePool::give_back(std::unique_ptr<Exchange> exchange) {
  if (cache_.size() < kMaxCached) {
    exchange->reset();
    cache_.push_back(std::move(exchange));
  }
}

}  // namespace msp::proxy
