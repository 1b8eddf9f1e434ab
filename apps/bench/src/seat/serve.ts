/** The other side of a seat: what a process does that runs a contender for another one. */
import { isMambaError } from '@mamba/core';
import { platform } from '#platform';
import type { BenchCase } from '../cases/contract.ts';
import { SUITES } from '../cases/index.ts';
import { findBackend } from '../machine/backends.ts';
import { measureCeilings } from '../machine/ceilings.ts';
import { modeOf } from '../machine/modes.ts';
import { ownCase } from '../peers/own.ts';
import type { BackendRecord } from '../schema/report.ts';
import type { Answer, Ask, Questions } from './messages.ts';
import { type CaseRef, localSeat, type Seat, type SeatedCase } from './seat.ts';

type Handlers = { readonly [K in keyof Questions]: (body: Questions[K][0]) => Promise<Questions[K][1]> };

/** Answers every question, also those that fail. */
export function createServer(): (ask: Ask) => Promise<Answer> {
  const handlers = createHandlers();
  return async ({ id, type, body }) => {
    try {
      return { id, body: await (handlers[type] as (body: unknown) => Promise<unknown>)(body) };
    } catch (error) {
      const message = error instanceof Error ? error.message : String(error);
      return { id, error: { message, ...(isMambaError(error) && { code: error.code }) } };
    }
  };
}

function createHandlers(): Handlers {
  let seat: Seat | undefined;
  let record: BackendRecord | undefined;
  let prepared: SeatedCase | undefined;
  const current = (): SeatedCase => {
    if (prepared === undefined) throw new Error('no case is prepared');
    return prepared;
  };
  const free = async (): Promise<null> => {
    await prepared?.dispose();
    prepared = undefined;
    return null;
  };
  return {
    async open({ backend, label, options }) {
      const found = await findBackend(backend, label, options);
      record = found.record;
      if (found.provider !== undefined) seat = localSeat(await found.provider.create());
      const { name, version } = platform.machineFacts().engine;
      return { record, engine: `${name === 'node' ? 'Node' : name} ${version}` };
    },
    ceilings: ({ threads, budget }) =>
      measureCeilings({ threads, budget, mode: modeOf(record ?? {}), pause: () => platform.tick() }),
    async prepare(ref) {
      await free();
      if (seat === undefined) throw new Error('no backend is open');
      prepared = await seat.prepare(caseOf(ref), ref, () => platform.tick());
      const measured = Object.entries(prepared.measured).map(
        ([id, how]) => [id, 'seconds' in how ? how.seconds : null] as const,
      );
      return { measured: Object.fromEntries(measured), stateBytes: prepared.stateBytes ?? null };
    },
    actual: () => current().actual(),
    async time({ measurement, calls }) {
      const how = current().measured[measurement];
      if (how === undefined || 'seconds' in how) throw new Error(`there is nothing to time called ${measurement}`);
      return how.time(calls);
    },
    async limit(bound) {
      if (seat === undefined) throw new Error('no backend is open');
      return seat.limit(bound);
    },
    memory: () => current().memory(),
    free,
  };
}

function caseOf(ref: CaseRef): BenchCase {
  if ('own' in ref) return ownCase(ref.own);
  const benchCase = SUITES.find(({ name }) => name === ref.suite)?.cases(ref.options)[ref.index];
  if (benchCase === undefined) throw new Error(`there is no case ${ref.index} of ${ref.suite}`);
  return benchCase;
}
