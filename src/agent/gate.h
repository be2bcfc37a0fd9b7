// SPDX-License-Identifier: Apache-2.0
// What the channel's state and the rules mean for the data path and for the kernel hooks (protocol.md L.9, L.10, L.30).
// Pure functions over snapshots; control thread.
// Whatever is not plainly open is closed.
#pragma once

#include <memory>

#include "agent/config.h"
#include "channel/state.h"
#include "intercept/interceptor.h"
#include "policy/snapshot.h"
#include "proxy/gate.h"
#include "proxy/settings.h"

namespace msp::agent {

proxy::Gate make_gate(const channel::ChannelState& channel, std::shared_ptr<const policy::Snapshot> rules);

/// Redirection follows the modes at every change, whether there is a key or not (L.10, L.26).
intercept::Settings make_hook_settings(const Config& config, const channel::ChannelState& channel);

/// The same before the channel has spoken: every service redirected, or none.
intercept::Settings closed_settings(const Config& config, bool redirect);
bool same(const intercept::Settings& a, const intercept::Settings& b);

proxy::Settings make_proxy_settings(const Config& config);

}  // namespace msp::agent
