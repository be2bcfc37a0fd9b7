/* SPDX-License-Identifier: Apache-2.0
 * The latch protocol (protocol sections B and C, docs/channel.md): agent, host, a network that loses, delays and repeats,
 * crashes of both, disks that fail and lose, a thief who asks for a key first, an operator.
 * docs/model/README.md says what is checked and how; tests/model/check.py runs it.
 * Names of phases and actions are those of the code (src/channel/machine.h): a test of the channel compares them.
 *
 * Every fault has a budget, so that faults stop by themselves; what must then happen is a liveness property.
 * FAULT_… seeds a mistake that the checker must find. */

#ifndef KEYS
#define KEYS 7 /* keys that the host can make (at most 14); running out is an error of the model, not a refusal */
#endif
#ifndef LOSSES
#define LOSSES 0 /* messages lost */
#endif
#ifndef REPEATS
#define REPEATS 0 /* requests that arrive twice */
#endif
#ifndef IMPATIENCE
#define IMPATIENCE 0 /* times the agent gives up although the answer, or the request, is still on its way */
#endif
#ifndef LATE
#define LATE 0 /* old answers that a later request takes for its own */
#endif
#ifndef AGENT_CRASHES
#define AGENT_CRASHES 0
#endif
#ifndef HOST_CRASHES
#define HOST_CRASHES 0
#endif
#ifndef SAVE_FAILURES
#define SAVE_FAILURES 0 /* disk full and the like */
#endif
#ifndef KEY_LOSSES
#define KEY_LOSSES 0 /* key files lost on disk */
#endif
#ifndef THIEF_ASKS
#define THIEF_ASKS 0
#endif
#ifndef THIEF_PROVES
#define THIEF_PROVES 0 /* 1: the thief also tries to latch its key */
#endif
#ifndef RAISES
#define RAISES 0 /* incarnations raised although nothing is wrong */
#endif
#ifndef ROTATIONS
#define ROTATIONS 0 /* the same, planned: the old key is taken until the agent uses another; once it is the only fault
                       (-DALL_SERVED), no call is refused */
#endif
#ifndef SWITCHES
#define SWITCHES 0 /* channel disabled and wanted again */
#endif
#ifndef CALLS
#define CALLS 2 /* requests of guest processes, signed or not as the agent would send them */
#endif

mtype:phase = { unknown, disabled, acquiring, attesting, latched, refused };
mtype:action = { poll, load_key, acquire, save_key, attest, wait };
mtype:key_state = { no_key, pending_key, latched_key, dead_key };
mtype:message = { status, told, ask, given, denied, prove, proven, unproven, call };

#define bit(guid) (1 << (guid))

/* Requests: what, about which key, by the agent (or the thief). Answers: what, about which key, is a key needed. */
chan to_host = [3] of { mtype:message, byte, bool };
chan to_agent = [2] of { mtype:message, byte, bool };
chan to_thief = [1] of { byte };

/* The agent: in memory, and on its disk. */
mtype:phase phase = unknown;
mtype:action action = poll;
byte key = 0;       /* in use */
byte candidate = 0; /* being loaded, saved, attested */
bool key_needed = false;
short stored = 0; /* key files, one bit each */
bool ever_latched = false;

/* The host: in memory, and in its database. */
bool wanted = true; /* by the operator: the channel is enabled */
bool host_busy = false;
mtype:key_state keys[KEYS + 1] = no_key;
byte latched_guid = 0;
byte latched_on_disk = 0;
byte outgoing = 0; /* in memory only: the key before a rotation, while it is taken */
byte made = 0;

/* What only the observer knows. */
byte latches = 0;       /* in this incarnation */
short latched_once = 0; /* keys that were latched at any time */
short thief_knows = 0;  /* keys whose bytes the thief has */
bool thief_proved = false;
bool told_disabled = false; /* the last good answer that this run of the agent had */

byte losses = LOSSES, repeats = REPEATS, impatience = IMPATIENCE, late = LATE, agent_crashes = AGENT_CRASHES;
byte host_crashes = HOST_CRASHES, save_failures = SAVE_FAILURES, key_losses = KEY_LOSSES, thief_asks = THIEF_ASKS;
byte raises = RAISES, rotations = ROTATIONS, switches = SWITCHES, calls = CALLS;

/* ---------------------------------------------------------------------------------------------------- the agent -- */

/* Each request has a connection of its own: what is left of earlier ones is gone, but for the budget of late answers. */
inline send_request(what, guid) {
  if
  :: d_step {
       do
       :: nempty(to_agent) -> to_agent?_, _, _
       :: empty(to_agent) -> break
       od
     }
  :: d_step { late > 0 && nempty(to_agent) -> late-- }
  fi;
  to_host!what, guid, true
}

#define NOTHING_COMES (empty(to_host) && !host_busy)
#define HURRIES (impatience > 0)

inline hurry() {
  if
  :: NOTHING_COMES
  :: nempty(to_host) || host_busy -> impatience--
  fi
}

/* The machine's use_candidate(). */
inline use_candidate() {
  key = candidate;
  candidate = 0;
  phase = latched;
  ever_latched = true;
  action = wait;
  assert(latched_once & bit(key)); /* nothing is put into use that the host has not latched */
  assert(stored & bit(key))        /* nor what a restart would not find again */
}

inline give_up() {
  candidate = 0;
  action = wait
}

active proctype Agent() {
  byte guid;
  bool needed;

begin:
  atomic {
    phase = unknown;
    action = poll;
    key = 0;
    candidate = 0;
    told_disabled = false;
#ifdef FAULT_OPEN_AT_START
    key_needed = false
#else
    key_needed = ever_latched || stored != 0
#endif
  }
  do
  :: action == poll ->
     send_request(status, 0);
     if
     :: atomic { to_agent??told, guid, needed ->
          key_needed = needed;
          told_disabled = !needed;
          if
          :: !needed ->
             phase = disabled;
             key = 0;
             candidate = 0;
             action = wait
          :: needed && guid != 0 && guid == key ->
             phase = latched;
             action = wait
          :: needed && guid != 0 && guid != key ->
             candidate = guid;
             action = load_key
#ifdef FAULT_NEVER_ASKS_AGAIN
          :: needed && guid == 0 && phase == refused -> action = wait
          :: needed && guid == 0 && phase != refused ->
#else
          :: needed && guid == 0 ->
#endif
             candidate = 0;
             phase = acquiring;
             action = acquire
          fi;
          guid = 0; needed = false
        }
     :: atomic { !(to_agent??[told, _, _]) && (NOTHING_COMES || HURRIES) ->
          hurry();
#ifdef FAULT_OPEN_WITHOUT_CONTACT
          key_needed = false; key = 0;
#endif
          action = wait
        }
     :: atomic { agent_crashes > 0 -> agent_crashes--; goto begin }
     fi

  :: action == load_key ->
     if
     :: atomic { stored & bit(candidate) -> use_candidate() }
     :: atomic { !(stored & bit(candidate)) ->
          candidate = 0;
          phase = acquiring;
          action = acquire
        }
     :: atomic { agent_crashes > 0 -> agent_crashes--; goto begin }
     fi

  :: action == acquire ->
     send_request(ask, 0);
     if
     :: atomic { to_agent??given, guid, _ ->
          candidate = guid;
          guid = 0;
#ifdef FAULT_ATTEST_UNSAVED
          phase = attesting;
          action = attest
#else
          action = save_key
#endif
        }
     :: atomic { to_agent??denied, _, _ -> phase = refused; give_up() }
     :: atomic { !(to_agent??[given, _, _]) && !(to_agent??[denied, _, _]) && (NOTHING_COMES || HURRIES) ->
          hurry();
          give_up()
        }
     :: atomic { agent_crashes > 0 -> agent_crashes--; goto begin }
     fi

  :: action == save_key ->
     if
     :: atomic { stored = stored | bit(candidate);
#ifdef FAULT_ADOPT_UNATTESTED
          use_candidate()
#else
          phase = attesting;
          action = attest
#endif
        }
     :: atomic { save_failures > 0 -> save_failures--; phase = acquiring; give_up() }
     :: atomic { agent_crashes > 0 -> agent_crashes--; goto begin }
     fi

  :: action == attest ->
     send_request(prove, candidate);
     if
     :: atomic { to_agent??proven, eval(candidate), _ -> use_candidate() }
     :: atomic { to_agent??unproven, eval(candidate), _ -> phase = refused; give_up() }
     :: atomic { !(to_agent??[proven, eval(candidate), _]) && !(to_agent??[unproven, eval(candidate), _]) &&
                 (NOTHING_COMES || HURRIES) ->
          hurry();
          give_up()
        }
     :: atomic { agent_crashes > 0 -> agent_crashes--; goto begin }
     fi

  :: action == wait ->
#ifdef FAULT_STANDS_STILL
     if
     :: phase == refused -> false
     :: else
     fi;
#endif
     action = poll
  od
}

/* ----------------------------------------------------------------------------------------------------- the host -- */

inline answer_agent(what, guid, needed) {
  if
  :: nfull(to_agent) -> to_agent!what, guid, needed
  :: full(to_agent) /* nobody listens on that connection any more */
  fi
}

inline note_latch(guid) {
  latches++;
  assert(latches <= 1); /* at most once an incarnation */
  latched_once = latched_once | bit(guid);
  /* Whoever asked before the agent does not hold the key that the agent has latched. */
  assert(!(thief_knows & bit(guid)) || thief_proved)
}

inline latch(guid) {
  latched_guid = guid;
#ifndef FAULT_LATCH_NOT_DURABLE
  latched_on_disk = guid;
#endif
  keys[guid] = latched_key;
  note_latch(guid);
#ifdef FAULT_NO_OVERLAP
  outgoing = 0;
#endif
#ifndef FAULT_PENDING_OUTLIVES_LATCH
  i = 1;
  do
  :: i <= KEYS ->
     if
     :: keys[i] == pending_key -> keys[i] = dead_key
     :: else
     fi;
     i++
  :: else -> i = 0; break
  od
#endif
}

inline crash_host() {
  host_crashes--;
  latched_guid = latched_on_disk;
  outgoing = 0;
#ifdef FAULT_LATCH_NOT_DURABLE
  i = 1;
  do
  :: i <= KEYS ->
     if
     :: keys[i] == latched_key && i != latched_on_disk -> keys[i] = pending_key
     :: else
     fi;
     i++
  :: else -> i = 0; break
  od
#endif
}

inline choose_key() {
  answer_guid = 0;
#ifdef FAULT_PENDING_KEY_TWICE
  i = 1;
  do
  :: i <= KEYS ->
     if
     :: keys[i] == pending_key -> answer_guid = i
     :: else
     fi;
     i++
  :: else -> i = 0; break
  od;
#endif
  if
  :: answer_guid == 0 ->
     made++;
     assert(made <= KEYS); /* the model is too small for its budgets */
     answer_guid = made;
     keys[answer_guid] = pending_key
  :: else
  fi
}

/* The decision about the request that has come: all that is changed is in the database before the answer leaves. */
active proctype Host() {
  mtype:message what, answer;
  byte guid, answer_guid, i;
  bool of_agent;
  bool good;

end_idle:
  do
  :: atomic { to_host?what, guid, of_agent ->
       host_busy = true;
       answer_guid = guid;
       if
       :: what == status ->
          answer = told;
#ifdef FAULT_LATCHED_KEY_NOT_NAMED
          answer_guid = 0
#else
          answer_guid = latched_guid
#endif
       :: what == ask ->
#ifdef FAULT_KEY_WHILE_LATCHED
          good = wanted;
#else
          good = wanted && latched_guid == 0;
#endif
          if
          :: good -> answer = given; choose_key()
          :: else -> answer = denied
          fi
       :: what == prove ->
          if
          :: !wanted -> answer = unproven
          :: wanted && keys[guid] == latched_key -> answer = proven /* an answer was lost: it heals */
          :: wanted && keys[guid] == pending_key ->
#ifdef FAULT_LATCH_AFTER_ANSWER
             answer = proven
#else
             answer = proven;
             latch(guid)
#endif
          :: wanted && (keys[guid] == dead_key || keys[guid] == no_key) -> answer = unproven
          fi
       :: what == call ->
#ifdef FAULT_OPEN_UNTIL_LATCHED
          good = !wanted || latched_guid == 0 || (guid != 0 && guid == latched_guid);
#else
          good = !wanted || (guid != 0 && (guid == latched_guid || guid == outgoing));
#endif
          /* An enforced host serves nothing that is not signed with the latched key, or with the one before it while
             that is on its way out. */
          assert(!good || !wanted || (guid != 0 && (keys[guid] == latched_key || guid == outgoing)));
#ifdef ALL_SERVED
          assert(good || guid == 0 || !of_agent);
#endif
          answer = what
       fi
     };
     if
     :: atomic { (what == told || what == status || what == ask || what == prove) && of_agent ->
          answer_agent(answer, answer_guid, wanted) }
     :: atomic { what == ask && !of_agent && answer == given ->
          thief_knows = thief_knows | bit(answer_guid);
          to_thief!answer_guid }
     :: (what == prove || what == call || (what == ask && answer == denied)) && !of_agent
     :: what == call && of_agent
     :: atomic { host_crashes > 0 -> crash_host() }
     fi;
#ifdef FAULT_LATCH_AFTER_ANSWER
     if
     :: atomic { what == prove && answer == proven && keys[guid] == pending_key -> latch(guid) }
     :: what != prove || answer != proven || keys[guid] != pending_key
     :: atomic { host_crashes > 0 -> crash_host() }
     fi;
#endif
     d_step { what = 0; answer = 0; guid = 0; answer_guid = 0; of_agent = false; good = false; host_busy = false }
  od
}

/* ------------------------------------------------------------------------------------------------- what happens -- */

active proctype Network() {
  mtype:message what;
  byte guid;
  bool of_agent;

end_calm:
  do
  :: atomic { losses > 0 && nempty(to_host) -> losses--; to_host?_, _, _ }
  :: atomic { losses > 0 && nempty(to_agent) -> losses--; to_agent?_, _, _ }
  :: atomic { repeats > 0 && nempty(to_host) && nfull(to_host) ->
       repeats--;
       to_host?<what, guid, of_agent>;
       to_host!what, guid, of_agent;
       what = 0; guid = 0; of_agent = false
     }
  od
}

active proctype Thief() {
  byte guid;

end_hidden:
  do
  :: thief_asks > 0 -> thief_asks--; to_host!ask, 0, false
  :: to_thief?guid ->
#if THIEF_PROVES
     if
     :: atomic { true -> thief_proved = true; to_host!prove, guid, false }
     :: true
     fi;
#endif
     to_host!call, guid, false;
     guid = 0
  od
}

/* Guest processes: the agent sends nothing, or signs, or leaves alone what it was told to leave alone. */
active proctype Callers() {
end_quiet:
  do
  :: atomic { calls > 0 && key != 0 -> calls--; to_host!call, key, true }
  :: atomic { calls > 0 && key == 0 && !key_needed ->
       calls--;
       assert(told_disabled || !(ever_latched || stored != 0));
       to_host!call, 0, true
     }
  od
}

#define STUCK (latched_guid != 0 && !(stored & bit(latched_guid)))

#define IN_ORDER (latched_guid != 0 && key == latched_guid && phase == latched)

/* The time of the outgoing key is over: what was signed with it has come. */
#define OVERLAP_IS_OVER (outgoing != 0 && IN_ORDER && !(to_host??[call, eval(outgoing), true]))

inline raise_incarnation() {
  byte j;
  j = 1;
  do
  :: j <= KEYS ->
     if
     :: keys[j] == pending_key || keys[j] == latched_key -> keys[j] = dead_key
     :: else
     fi;
     j++
  :: else -> j = 0; break
  od;
  latched_guid = 0;
  latched_on_disk = 0;
  latches = 0;
  thief_proved = false
}

/* Changes the model of the machine at any moment. Of what is stuck for good it hears, and mends it. */
active proctype Operator() {
end_away:
  do
  :: d_step { STUCK && wanted -> outgoing = 0; raise_incarnation() }
  :: d_step { raises > 0 -> raises--; outgoing = 0; raise_incarnation() }
  :: d_step { rotations > 0 && latched_guid != 0 && outgoing == 0 -> rotations--; outgoing = latched_guid; raise_incarnation() }
  :: d_step { OVERLAP_IS_OVER -> outgoing = 0 }
  :: atomic { switches > 0 && wanted -> switches--; wanted = false }
  :: atomic { !wanted -> wanted = true }
  :: atomic { key_losses > 0 && stored != 0 && action == wait -> key_losses--; stored = 0; ever_latched = true }
  od
}

/* ---------------------------------------------------------------------------------------------------- liveness --- */

/* When the faults have stopped the agent uses the key that the host has latched, and goes on doing so. */
ltl ends_latched { <>[] IN_ORDER }
