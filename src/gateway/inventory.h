// SPDX-License-Identifier: Apache-2.0
// Which virtual machines and access control profiles there are: those that the configuration's files name, and those
// that were applied while the host ran and lie in its store.
// Owned by the app; loop's thread, so whoever asks between two changes sees the old or the new, never half of one.
// A change is applied whole or refused with all that is wrong with it; what the store refuses has not happened.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/loop.h"
#include "base/result.h"
#include "base/task.h"
#include "gateway/config.h"
#include "gateway/guest_view.h"
#include "gateway/key_ring.h"
#include "gateway/model_store.h"
#include "gateway/moved_machine.h"
#include "gateway/profile.h"
#include "gateway/scale_set.h"
#include "gateway/vm_registry.h"

namespace msp::gateway {

/// A resource as it is known. A file wins: what it names is changed in the file, and takes the place of what was
/// applied under the same name before.
struct Resource {
  ResourceName name;
  std::string label;                         ///< name of a virtual machine, id of the others as written
  std::string text;                          ///< as it was given, byte for byte
  std::string file;                          ///< that names it; empty: it was applied
  std::vector<Ipv4Address> addresses;        ///< given beside a model; empty: those of the model hold
  std::vector<std::string> interfaces = {};  ///< of the host, given beside a model
  std::string network = {};                  ///< given beside a model; empty: any
};

/// A resource that somebody wants applied.
struct GivenResource {
  std::string text;
  /// Beside a model. Nothing: as it was before; empty: those of the model.
  std::optional<std::vector<Ipv4Address>> addresses = {};
  std::optional<std::vector<std::string>> interfaces = {};
  std::optional<std::string> network = {};  ///< empty: any
  bool as_before = false;  ///< it was applied before, here or elsewhere: what is misplaced in it is only warned of
};

/// Why something is refused.
struct Fault {
  std::size_t resource = 0;  ///< index into what was given
  std::string pointer;       ///< into its text
  std::string problem;
  std::string remedy;
};

enum class Effect : std::uint8_t { kNone, kCreated, kChanged, kDeleted };
std::string_view to_string(Effect effect);

struct ResourceEffect {
  ResourceName name;
  std::string label;
  Effect effect = Effect::kNone;
};

/// What comes of a change, or would come.
struct ChangeOutcome {
  std::vector<Fault> faults;  ///< any: nothing has changed
  std::vector<ResourceEffect> resources;
  std::vector<GuestChange> guests;  ///< virtual machines for whose guest something changes
};

/// What becomes of the latched keys of machines whose keyIncarnationId a change raises.
enum class KeyEnd : std::uint8_t {
  kAtOnce,       ///< they may be known to others
  kOnceReplaced  ///< planned: KeyRing::rotate()
};

/// What comes of sending a machine to another host.
struct Departure {
  ChangeOutcome outcome;
  MovedMachine machine;  ///< to be carried there, unless there are faults
};

/// Who refers to a profile version.
struct Referrer {
  std::string_view what;  ///< "virtual machine", "scale set"
  std::string name;
};

/// What is listed and looked for together.
enum class Listing : std::uint8_t { kMachines, kScaleSets, kProfiles };
Listing listing_of(ResourceKind kind);

/// A change may concern thousands of machines: everybody else has a turn after each few of them. Default made: none
/// has.
class Pauses {
 public:
  Pauses() = default;
  explicit Pauses(Loop& loop) : loop_(&loop) {}
  /// To be asked after each machine. True: co_await turn().
  bool due() { return loop_ != nullptr && ++machines_ % kMachinesPerTurn == 0; }
  Loop::NextTurn turn() const { return loop_->next_turn(); }

 private:
  static constexpr std::size_t kMachinesPerTurn = 8;
  Loop* loop_ = nullptr;
  std::size_t machines_ = 0;
};

class Inventory {
 public:
  /// Called for each machine whose guest has to be told something, after the change.
  using Changed = std::function<void(const std::string& vm_id)>;

  /// Models and profiles that the configuration names. They refer to each other only.
  static Result<std::unique_ptr<Inventory>> load(const Config& config);
  /// Adds what was applied before. Refused when it does not fit to what the files say now.
  /// kOnTrial: the store stays as it is, also where a file takes the place of what was applied.
  enum class Opening : std::uint8_t { kForGood, kOnTrial };
  Result<void> open(ModelStore& store, Opening how = Opening::kForGood);
  /// From now on keys follow the models. Everything outlives the inventory.
  void attach(KeyRing& keys, Changed changed);

  VmRegistry& registry() { return registry_; }
  const VmRegistry& registry() const { return registry_; }

  /// All of it or nothing. `dry_run`: only says what would come of it. An error is the store's.
  Result<ChangeOutcome> apply(const std::vector<GivenResource>& given, bool dry_run, KeyEnd end = KeyEnd::kAtOnce) {
    return apply(given, dry_run, end, Pauses()).result();
  }
  /// The same, with pauses in which nobody may change anything here. It becomes true at one moment all the same.
  Task<Result<ChangeOutcome>> apply(std::vector<GivenResource> given, bool dry_run, KeyEnd end, Pauses pauses);
  /// Refused for what a file names and for what another refers to. A scale set goes with its instances.
  Result<ChangeOutcome> remove(const ResourceName& name);
  /// Raises keyIncarnationId in the model of a machine, or of a scale set: the key ends, or those of all its instances;
  /// one new latch is allowed.
  Result<ChangeOutcome> end_key(const ResourceName& name, KeyEnd end) { return end_key(name, end, Pauses()).result(); }
  Task<Result<ChangeOutcome>> end_key(ResourceName name, KeyEnd end, Pauses pauses);
  /// The key that is still taken beside the latched one, or in its place; null: none.
  const LiveKey* outgoing(const Vm& vm) const;
  /// For the host whose recipient() this is: from now on its connections are refused here and its key is dead.
  Result<Departure> depart(const ResourceName& name, const BoxPublicKey& to);
  /// The other end: applied with the key that it had, as if nothing had happened. `addresses`: as of a GivenResource,
  /// where nothing means those that it came with. `network` is one of this host's, so it does not come with it.
  Result<ChangeOutcome> arrive(const MovedMachine& machine, std::optional<std::vector<Ipv4Address>> addresses,
                               std::string network = {});
  /// The host's own, for those who send machines here.
  Result<BoxPublicKey> recipient() const { return keys_->recipient(); }

  const std::map<ResourceName, Resource>& resources() const { return resources_; }
  /// By vmId, resource id or name; of profiles also "P" and "P/1.0.0". Several, where the word fits several.
  std::vector<const Resource*> find(Listing listing, std::string_view word) const;
  /// Scale sets and virtual machines that refer to a version.
  std::vector<Referrer> referrers(const ResourceName& version) const;
  /// Machines whose settings come from this scale set, by its id in lower case.
  std::vector<const Vm*> instances_of(const std::string& set_id) const;
  const std::map<std::string, std::shared_ptr<const ScaleSet>>& scale_sets() const { return scale_sets_; }
  const ProfileCatalog& profiles() const { return profiles_; }

 private:
  struct Staged;
  Inventory() = default;

  Result<void> load_profiles(const std::string& path);
  Result<void> load_machine(const VirtualMachineConfig& machine);
  /// Why it may not go away.
  std::vector<Fault> holding(const Resource& resource) const;
  Result<ChangeOutcome> take_out(const Resource& resource, ModelChange change);
  Task<Staged> stage(const std::vector<GivenResource>& given, Pauses& pauses) const;
  void stage_one(Staged& staged, std::size_t index, const GivenResource& given) const;
  void stage_profile(Staged& staged, std::size_t index, Resource resource, const json::Value& tree) const;
  void stage_machine(Staged& staged, std::size_t index, Resource resource, const json::Value& tree,
                     const GivenResource& given) const;
  static void check_misplaced(Staged& staged, std::size_t index, const json::Value& tree, ResourceKind kind,
                              const GivenResource& given);
  void check_network(Staged& staged, std::size_t index, const std::string& network) const;
  void stage_scale_set(Staged& staged, std::size_t index, Resource resource, const json::Value& tree) const;
  void admit(Staged& staged, std::size_t index, Resource resource, const char* name_at) const;
  void check_scale_sets(Staged& staged) const;
  /// It leaves what is closed to a scale set that is not there.
  bool lacks_its_set(const VmModel& model) const;
  void check_sets_are_there(Staged& staged, const std::vector<GivenResource>& given) const;
  /// Gives an instance what its set says.
  void join_scale_set(const Staged& staged, VmModel& model) const;
  bool has_new_incarnation(const Vm& vm) const;
  Task<void> build_machines(Staged& staged, Pauses& pauses) const;
  Task<void> build_affected(Staged& staged, Pauses& pauses) const;
  void rebuild(Staged& staged, const Vm& vm, std::size_t given) const;
  void check_places(Staged& staged) const;
  Task<void> check_incarnations(Staged& staged, Pauses& pauses) const;
  ModelChange to_store(const Staged& staged) const;
  Task<ChangeOutcome> outcome_of(Staged& staged, Pauses& pauses) const;
  void commit(Staged staged, KeyEnd end);
  void change(Vm& vm, Vm to, KeyEnd end);
  void enter(Vm vm);
  Result<ChangeOutcome> remove_scale_set(const Resource& resource);
  /// True: it is one, and a fault says so.
  bool refuse_second_rotation(const Vm& vm, KeyEnd end, ChangeOutcome& outcome) const;
  /// What to apply, or in the outcome why there is nothing.
  std::string with_key_ended(const Resource& machine, const Vm& vm, KeyEnd end, ChangeOutcome& outcome) const;
  std::string with_keys_ended(const Resource& set, KeyEnd end, ChangeOutcome& outcome) const;
  /// The store has forgotten this machine.
  void forget(Vm& vm);

  std::vector<std::string> networks_;  // that a listener is bound to
  content::Vault vault_;
  ProfileCatalog profiles_;
  VmRegistry registry_;
  std::map<ResourceName, Resource> resources_;
  std::map<std::string, std::shared_ptr<const ScaleSet>> scale_sets_;  // by id, lower case; applied ones
  std::unordered_map<std::string, std::string> by_resource_id_;        // of virtual machines, lower case → vmId
  ModelStore* store_ = nullptr;
  KeyRing* keys_ = nullptr;
  Changed changed_;
};

}  // namespace msp::gateway
