// SPDX-License-Identifier: Apache-2.0
#include "intercept/layout.h"

#include <bpf/btf.h>
#include <bpf/libbpf.h>
#include <fmt/core.h>

#include <memory>
#include <set>

#include "intercept.skel.h"
#include "intercept/attach_points.h"

namespace msp::intercept {
namespace {

struct SkeletonDeleter {
  void operator()(intercept_bpf* skeleton) const { intercept_bpf__destroy(skeleton); }
};

/// Structures in the order in which maps name them first.
class Layout {
 public:
  explicit Layout(const btf* types) : types_(types) {}

  void add_map(const bpf_map* map) {
    out_ += fmt::format("map {} type {} key {} value {} places {} flags {:#x}\n", bpf_map__name(map),
                        static_cast<int>(bpf_map__type(map)), bpf_map__key_size(map), bpf_map__value_size(map),
                        bpf_map__max_entries(map), bpf_map__map_flags(map));
    add_type(bpf_map__btf_key_type_id(map));
    add_type(bpf_map__btf_value_type_id(map));
  }

  void add_program(const AttachPoint& point, const bpf_program* program) {
    out_ += fmt::format("hook {} {} {}\n", point.link, program == nullptr ? "none" : bpf_program__section_name(program),
                        point.own ? "own" : "all");
  }

  std::string text() const { return out_ + structures_; }

 private:
  std::string name_of(__u32 id) const { return btf__str_by_offset(types_, btf__type_by_id(types_, id)->name_off); }

  /// What a member holds, through names and arrays.
  __u32 content_of(__u32 id) const {
    for (;;) {
      const auto resolved = static_cast<__u32>(btf__resolve_type(types_, id));
      const btf_type* type = btf__type_by_id(types_, resolved);
      if (!btf_is_array(type)) {
        return resolved;
      }
      id = btf_array(type)->type;
    }
  }

  void add_type(__u32 id) {
    id = content_of(id);
    const btf_type* type = btf__type_by_id(types_, id);
    if (!btf_is_struct(type) || !seen_.insert(id).second) {
      return;
    }
    std::set<__u32> inner;
    structures_ += fmt::format("struct {} {}\n", name_of(id), type->size);
    for (__u16 i = 0; i < btf_vlen(type); ++i) {
      const btf_member& member = btf_members(type)[i];
      structures_ += fmt::format("  {} at {} of {} bytes\n", btf__str_by_offset(types_, member.name_off),
                                 btf_member_bit_offset(type, i) / 8, btf__resolve_size(types_, member.type));
      inner.insert(content_of(member.type));
    }
    for (const __u32 one : inner) {
      add_type(one);
    }
  }

  const btf* types_;
  std::set<__u32> seen_;
  std::string out_;
  std::string structures_;
};

}  // namespace

Result<std::string> contract_layout() {
  const std::unique_ptr<intercept_bpf, SkeletonDeleter> skeleton(intercept_bpf__open());
  if (!skeleton) {
    return bug("the kernel programs cannot be read");
  }
  Layout layout(bpf_object__btf(skeleton->obj));
  for (const AttachPoint& point : kAttachPoints) {
    layout.add_program(point, bpf_object__find_program_by_name(skeleton->obj, point.program));
  }
  const bpf_map* map = nullptr;
  bpf_object__for_each_map(map, skeleton->obj) {
    if (!bpf_map__is_internal(map)) {
      layout.add_map(map);
    }
  }
  return layout.text();
}

}  // namespace msp::intercept
