/**
 * Runs a program by one thread, or by a team of threads that share the memory. Each thread has an instance of this
 * module.
 *
 * Tasks are taken, not assigned: a thread that is late, since another process holds its core, delays only the task that
 * it holds. Each thread has a queue of neighbouring tasks, and takes from the others' queues when its own is empty. So
 * it reads one stream from memory (two threads that take 64 KiB in turns read at 70 % of the speed of two streams), and
 * finds the states of the same channels in its cache again.
 *
 * A thread that finds no task left waits until the command is complete: it spins briefly, then sleeps. The leader opens
 * the gate, works as all members do, closes the gate, and returns when no member is inside; only then may the program's
 * memory be written again. A member that wakes up after that finds the gate closed and sleeps on.
 *
 * A leader that must not sleep (a browser's main thread) spins instead.
 */
import { COMMAND_BYTES, CommandHeader, execute, NEXT, QUEUES } from './commands';

/**
 * Asks the leader's host whether a member has died: a killed thread cannot tell, and a leader that sleeps here gets no
 * events.
 */
// TypeScript refuses decorators of functions, and this one cannot be a comment, as `@inline` is elsewhere.
// @ts-ignore: decorator
@external("env", "memberDied")
declare function memberDied(): bool;

/** Places of the words of a team's control block, in bytes. Each has a cache line to itself. */
const EPOCH: usize = 0;
const GATE: usize = 64;
const PROGRAM: usize = 128;
const COUNT: usize = 132;
/** SLEEPERS counts threads that sleep on a command or on the gate, IDLE those that sleep on the epoch. */
const SLEEPERS: usize = 192;
const IDLE: usize = 256;
const FAILED: usize = 320;
const STOP: usize = 384;
/** The number of threads; the host writes it once. */
export const CONTROL_THREADS: usize = 448; // host
/** Bytes of a control block. */
export const CONTROL_BYTES: usize = 512; // host

const OPEN: i32 = 1 << 30;
/** Times that a thread looks before it sleeps, which take some 20 µs. */
const SPINS = 10000;
/** A sleep ends by itself after this many nanoseconds; then the leader asks its host whether all members are alive. */
const NAP: i64 = 50_000_000;
/** Naps after which a thread is given up where the host cannot tell: 10 s, a thousand times the duration of a task. */
const PATIENCE = 200;
/** The same for a leader that must not sleep, as times that it looks. */
const LOOKS: i64 = 10_000_000_000;

/** Runs a program by the calling thread alone. */
export function runAlone(program: usize, count: i32): void {
  for (let index = 0; index < count; index++) {
    const tasks = changetype<CommandHeader>(program).tasks;
    for (let task = 0; task < tasks; task++) execute(program, task, 0, task == 0);
    program += COMMAND_BYTES;
  }
}

/** Runs a program as the leader of a team: opens it, then takes part until it is complete. Returns as `finish` does. */
export function runTeam(program: usize, count: i32, control: usize, maySleep: bool): bool {
  open(program, count, control);
  return finish(program, count, control, maySleep);
}

/** Opens a program: the members begin. */
export function open(program: usize, count: i32, control: usize): void {
  for (let index = 0; index < count; index++) {
    const command = program + <usize>index * COMMAND_BYTES;
    changetype<CommandHeader>(command).done = 0;
    memory.fill(command + NEXT, 0, QUEUES << 2);
  }
  store<usize>(control + PROGRAM, program);
  store<i32>(control + COUNT, count);
  atomic.store<i32>(control + GATE, OPEN);
  atomic.add<i32>(control + EPOCH, 1);
  if (atomic.load<i32>(control + IDLE) != 0) atomic.notify(control + EPOCH, -1);
}

/**
 * Takes part in an open program until it is complete. Returns false where a member failed or is missing; then nothing
 * that was written can be relied on.
 */
export function finish(program: usize, count: i32, control: usize, maySleep: bool): bool {
  const complete = work(program, count, control, 0, maySleep);
  atomic.and<i32>(control + GATE, ~OPEN);
  return complete && until(control + GATE, 0, control, 0, maySleep) && atomic.load<i32>(control + FAILED) == 0;
}

/** Works as a member; returns when it is told to stop, or when the team fails. */
export function serve(control: usize, thread: i32): void {
  let seen = 0;
  while (true) {
    seen = nextEpoch(control, seen);
    if (atomic.load<i32>(control + STOP) != 0) return;
    if (!enter(control)) continue;
    const complete = work(load<usize>(control + PROGRAM), load<i32>(control + COUNT), control, thread, true);
    if (atomic.sub<i32>(control + GATE, 1) == 1) wake(control + GATE, control);
    if (!complete) return;
  }
}

/** Tells that a member failed, so that all threads that wait for it give up. */
export function fail(control: usize): void {
  atomic.store<i32>(control + FAILED, 1);
}

/** Tells members that wait for work to stop. */
export function stop(control: usize): void {
  atomic.store<i32>(control + STOP, 1);
  atomic.add<i32>(control + EPOCH, 1);
  atomic.notify(control + EPOCH, -1);
}

function nextEpoch(control: usize, seen: i32): i32 {
  let epoch = 0;
  for (let spin = 0; spin < SPINS; spin++) {
    epoch = atomic.load<i32>(control + EPOCH);
    if (epoch != seen) return epoch;
  }
  atomic.add<i32>(control + IDLE, 1);
  while ((epoch = atomic.load<i32>(control + EPOCH)) == seen) atomic.wait<i32>(control + EPOCH, seen, -1);
  atomic.sub<i32>(control + IDLE, 1);
  return epoch;
}

function enter(control: usize): bool {
  let gate = atomic.load<i32>(control + GATE);
  while (gate & OPEN) {
    const found = atomic.cmpxchg<i32>(control + GATE, gate, gate + 1);
    if (found == gate) return true;
    gate = found;
  }
  return false;
}

function work(program: usize, count: i32, control: usize, thread: i32, maySleep: bool): bool {
  const queues = min(load<i32>(control + CONTROL_THREADS), QUEUES);
  for (let index = 0; index < count; index++) {
    const tasks = changetype<CommandHeader>(program).tasks;
    let taken = 0;
    for (let turn = 0; turn < queues; turn++) {
      const queue = (thread + turn) % queues;
      const begin = (queue * tasks) / queues;
      const end = ((queue + 1) * tasks) / queues;
      const next = program + NEXT + (<usize>queue << 2);
      while (begin + atomic.load<i32>(next) < end) {
        const task = begin + atomic.add<i32>(next, 1);
        if (task >= end) break;
        execute(program, task, thread, taken == 0);
        taken++;
      }
    }
    const done = program;
    if (taken != 0 && atomic.add<i32>(done, taken) + taken == tasks) wake(done, control);
    if (!until(done, tasks, control, thread, maySleep)) return false;
    program += COMMAND_BYTES;
  }
  return true;
}

function wake(place: usize, control: usize): void {
  if (atomic.load<i32>(control + SLEEPERS) != 0) atomic.notify(place, -1);
}

/** Waits until `place` holds `wanted`. Returns false where the team failed, or nothing happened for too long. */
function until(place: usize, wanted: i32, control: usize, thread: i32, maySleep: bool): bool {
  for (let spin = 0; spin < SPINS; spin++) {
    if (atomic.load<i32>(place) == wanted) return true;
  }
  if (!maySleep) {
    for (let look: i64 = 0; look < LOOKS; look++) {
      if (atomic.load<i32>(place) == wanted) return true;
      if (atomic.load<i32>(control + FAILED) != 0) return false;
    }
    return false;
  }
  atomic.add<i32>(control + SLEEPERS, 1);
  let reached = false;
  for (let nap = 0; nap < PATIENCE; nap++) {
    const value = atomic.load<i32>(place);
    reached = value == wanted;
    if (reached || atomic.load<i32>(control + FAILED) != 0) break;
    // Progress of others, whether it woke this thread or not, is a reason to go on waiting.
    if (atomic.wait<i32>(place, value, NAP) != 2) nap = 0;
    else if (thread == 0 && memberDied()) fail(control);
  }
  atomic.sub<i32>(control + SLEEPERS, 1);
  return reached || atomic.load<i32>(place) == wanted;
}
