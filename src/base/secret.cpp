// SPDX-License-Identifier: Apache-2.0
#include "base/secret.h"

#include <sys/mman.h>

#include <cstring>
#include <new>

#include "base/crypto.h"

namespace msp {
namespace {

constexpr std::size_t kPage = 4096;

std::size_t rounded(std::size_t size) { return (size + kPage - 1) / kPage * kPage; }

std::uint8_t* allocate(std::size_t size) {
  void* pages = ::mmap(nullptr, rounded(size), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (pages == MAP_FAILED) {
    throw std::bad_alloc();
  }
  // Best effort: a limit on locked memory must not stop the program, and swap may be encrypted or absent.
  (void)::mlock(pages, rounded(size));
  (void)::madvise(pages, rounded(size), MADV_DONTDUMP);
  return static_cast<std::uint8_t*>(pages);
}

}  // namespace

Secret::Secret(std::size_t size) : data_(size == 0 ? nullptr : allocate(size)), size_(size) {}

Secret Secret::copy_of(std::span<const std::uint8_t> bytes) {
  Secret copy(bytes.size());
  if (copy.data_ != nullptr) {
    std::memcpy(copy.data_, bytes.data(), bytes.size());
  }
  return copy;
}

Secret Secret::copy_of(std::string_view bytes) { return copy_of(as_bytes(bytes)); }

Result<Secret> Secret::from_hex(std::string_view text) {
  if (text.empty() || text.size() % 2 != 0) {
    return Error{.source = Source::kHost,
                 .message = "a key must be an even number of hex digits, at least two",
                 .hint = {},
                 .code = 0};
  }
  Secret out(text.size() / 2);
  if (!hex_decode_to(text, out.writable())) {
    return Error{
        .source = Source::kHost, .message = "a key holds a character that is no hex digit", .hint = {}, .code = 0};
  }
  return out;
}

Secret& Secret::operator=(Secret&& other) noexcept {
  if (this != &other) {
    wipe();
    data_ = std::exchange(other.data_, nullptr);
    size_ = std::exchange(other.size_, 0);
  }
  return *this;
}

Secret Secret::to_hex() const {
  Secret out(size_ * 2);
  if (size_ != 0) {
    hex_encode_to(bytes(), reinterpret_cast<char*>(out.data_));
  }
  return out;
}

void Secret::truncate(std::size_t size) {
  if (size >= size_) {
    return;
  }
  *this = copy_of(bytes().first(size));
}

void Secret::wipe() {
  if (data_ != nullptr) {
    ::explicit_bzero(data_, size_);
    ::munmap(data_, rounded(size_));
  }
  data_ = nullptr;
  size_ = 0;
}

bool operator==(const Secret& a, const Secret& b) { return constant_time_equal(a.bytes(), b.bytes()); }

void wipe(std::string& text) {
  ::explicit_bzero(text.data(), text.capacity());
  text.clear();
}

}  // namespace msp
