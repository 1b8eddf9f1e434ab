/** Serves a runner: the side of the protocol that holds the backend. */
import { isMambaError } from '@mamba/core';
import { platform } from '#platform';
import type { BenchCase } from '../cases/contract.ts';
import { SUITES } from '../cases/index.ts';
import { messageOf } from '../errors.ts';
import { findBackend } from '../machine/backends.ts';
import { measureCeilings } from '../machine/ceilings.ts';
import { modeOf } from '../machine/modes.ts';
import { ownCase } from '../peers/own.ts';
import type { BackendRecord } from '../schema/report.ts';
import type { RunnerMethods, RunnerRequest, RunnerResponse } from './messages.ts';
import { type CaseRef, localRunner, type PreparedCase, type Runner } from './runner.ts';

type Handlers = { readonly [K in keyof RunnerMethods]: (body: RunnerMethods[K][0]) => Promise<RunnerMethods[K][1]> };

/** Gives a response to every request, also to those that fail. */
export function createServer(): (request: RunnerRequest) => Promise<RunnerResponse> {
  const handlers = createHandlers();
  return async ({ id, type, body }) => {
    try {
      return { id, body: await (handlers[type] as (body: unknown) => Promise<unknown>)(body) };
    } catch (error) {
      return { id, error: { message: messageOf(error), ...(isMambaError(error) && { code: error.code }) } };
    }
  };
}

function createHandlers(): Handlers {
  let runner: Runner | undefined;
  let record: BackendRecord | undefined;
  let prepared: PreparedCase | undefined;
  const current = (): PreparedCase => {
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
      if (found.provider !== undefined) runner = localRunner(await found.provider.create());
      const { name, version } = platform.machineFacts().engine;
      return { record, engine: `${name === 'node' ? 'Node' : name} ${version}` };
    },
    ceilings: ({ threads, budget }) =>
      measureCeilings({ threads, budget, mode: modeOf(record ?? {}), pause: () => platform.tick() }),
    async prepare(ref) {
      await free();
      if (runner === undefined) throw new Error('no backend is open');
      prepared = await runner.prepare(caseOf(ref), ref, () => platform.tick());
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
      if (runner === undefined) throw new Error('no backend is open');
      return runner.limit(bound);
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
