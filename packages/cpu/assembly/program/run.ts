/**
 * Runs a program, alone or by a team of threads that share the memory, each an instance of this module.
 *
 * Tasks are taken, not assigned: a thread that is late (another process holds its core) costs what it holds, not the
 * whole. Each thread has a queue, a stretch of neighbouring tasks, and takes from the others' when its own is empty: so
 * it reads one stream from memory (two threads that take 64 KiB in turns read at 70 % of the speed of two stretches),
 * and finds the states of the same channels in its cache again.
 *
 * A thread that finds nothing left waits until the command is complete: it spins briefly, then sleeps. The leader opens
 * the gate, works as all others do, closes the gate, and returns when nobody is inside: only then may the program's
 * memory be written again. A member that wakes up after that finds the gate closed and sleeps on.
 *
 * The leader may be a thread that must not sleep (a browser's main thread): then it spins.
 */
import { COMMAND_BYTES, CommandHeader, execute, NEXT, QUEUES } from './commands';

/**
 * The leader's host: whether a member has died. A killed thread cannot say so, and a leader that sleeps here hears
 * nothing else.
 */
// @ts-ignore: decorator
@external("env", "memberDied")
declare function memberDied(): bool;

/** Where the words of a team's control block are, in bytes; each has a cache line to itself. */
const EPOCH: usize = 0;
const GATE: usize = 64;
const PROGRAM: usize = 128;
const COUNT: usize = 132;
/** Threads that sleep on a command or on the gate; that sleep on the epoch. */
const SLEEPERS: usize = 192;
const IDLE: usize = 256;
const FAILED: usize = 320;
const STOP: usize = 384;
/** The number of threads; the host writes it once. */
export const CONTROL_THREADS: usize = 448; // host
/** Bytes of a control block. */
export const CONTROL_BYTES: usize = 512; // host

const OPEN: i32 = 1 << 30;
/** Looks before a thread sleeps: some 20 µs. */
const SPINS = 10000;
/** A sleep ends by itself after this many nanoseconds: then the leader asks its host whether all members live. */
const NAP: i64 = 50_000_000;
/** Naps after which a thread is given up where the host cannot tell: 10 s, a thousand times what a task takes. */
const PATIENCE = 200;
/** The same for a leader that must not sleep, in looks. */
const LOOKS: i64 = 10_000_000_000;

/** By one thread. */
export function runAlone(program: usize, count: i32): void {
  for (let index = 0; index < count; index++) {
    const tasks = changetype<CommandHeader>(program).tasks;
    for (let task = 0; task < tasks; task++) execute(program, task, 0, task == 0);
    program += COMMAND_BYTES;
  }
}

/** By the leader of a team: opens a program, then takes part in it until it is complete. */
export function runTeam(program: usize, count: i32, control: usize, maySleep: bool): bool {
  open(program, count, control);
  return finish(program, count, control, maySleep);
}

/** Lets the members begin. */
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

/** False where a member failed or is missing: then nothing that was written can be relied on. */
export function finish(program: usize, count: i32, control: usize, maySleep: bool): bool {
  const complete = work(program, count, control, 0, maySleep);
  atomic.and<i32>(control + GATE, ~OPEN);
  return complete && until(control + GATE, 0, control, 0, maySleep) && atomic.load<i32>(control + FAILED) == 0;
}

/** The life of a member: returns when it is told to stop, or when the team fails. */
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

/** What a member's host calls when the member broke: everyone who waits for it gives up. */
export function fail(control: usize): void {
  atomic.store<i32>(control + FAILED, 1);
}

/** Stops members that wait for work. */
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

/** Until `place` holds `wanted`. False where the team failed, or nothing happened for too long. */
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
    // Woken or not, progress of others is a reason to be patient.
    if (atomic.wait<i32>(place, value, NAP) != 2) nap = 0;
    else if (thread == 0 && memberDied()) fail(control);
  }
  atomic.sub<i32>(control + SLEEPERS, 1);
  return reached || atomic.load<i32>(place) == wanted;
}
