// SPDX-License-Identifier: Apache-2.0
// Intrusive doubly linked list: nodes link themselves out when they die, in constant time and without allocation.
// Not thread-safe: one loop owns a list and all its nodes.
// Never fails; a node is in at most one list per hook.
#pragma once

namespace msp {

template <class Tag>
class ListHook {
 public:
  // Tag names the list that a node is in; it is not the derived class.
  ListHook() = default;                // NOLINT(bugprone-crtp-constructor-accessibility)
  ListHook(const ListHook&) = delete;  // NOLINT(bugprone-crtp-constructor-accessibility)
  ListHook& operator=(const ListHook&) = delete;
  ~ListHook() { unlink(); }

  bool linked() const { return next_ != this; }
  void unlink() {
    prev_->next_ = next_;
    next_->prev_ = prev_;
    next_ = prev_ = this;
  }

 private:
  template <class, class>
  friend class List;
  ListHook* next_ = this;
  ListHook* prev_ = this;
};

/// T derives from ListHook<Tag>.
template <class T, class Tag>
class List {
 public:
  bool empty() const { return !head_.linked(); }
  void push_back(T& node) {
    ListHook<Tag>& hook = node;
    hook.unlink();
    hook.prev_ = head_.prev_;
    hook.next_ = &head_;
    head_.prev_->next_ = &hook;
    head_.prev_ = &hook;
  }
  // The analyzer does not see that a node which dies has unlinked itself.
  T& front() { return static_cast<T&>(*head_.next_); }  // NOLINT(clang-analyzer-cplusplus.NewDelete)
  T& back() { return static_cast<T&>(*head_.prev_); }
  T* pop_front() {
    if (empty()) {
      return nullptr;
    }
    T& node = front();
    static_cast<ListHook<Tag>&>(node).unlink();
    return &node;
  }
  /// Calls f for each node; f may unlink the node that it is given, no other.
  template <class F>
  void for_each(F&& f) {
    for (ListHook<Tag>* hook = head_.next_; hook != &head_;) {
      ListHook<Tag>* next = hook->next_;
      f(static_cast<T&>(*hook));
      hook = next;
    }
  }
  /// Moves all nodes of other behind those here.
  void splice(List& other) {
    while (T* node = other.pop_front()) {
      push_back(*node);
    }
  }

 private:
  ListHook<Tag> head_;
};

}  // namespace msp
