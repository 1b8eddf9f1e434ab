/** What a comparison is asked for, as plain data: the request to a worker or a process. */
import { MambaError } from '@mamba/core';
import { chooseNamed, type FoundBackend } from '../machine/backends.ts';
import type { VersusReport } from '../schema/versus.ts';
import { GENERATION_MODELS, type GenerationOptions } from './generation.ts';
import { runVersus, type TaskOptions, type VersusObserver, type VersusSizes } from './run.ts';
import { SYSTEMS, type System } from './systems.ts';

export interface VersusRequest extends VersusSizes {
  /** Names; none: all. */
  readonly systems: readonly string[];
  readonly generation?: Omit<GenerationOptions, 'models'> | undefined;
  readonly tasks?: Omit<TaskOptions, 'corpus'> | undefined;
}

/** A message of a comparison under way. */
export type VersusNotice =
  | { readonly type: 'begin'; readonly parts: number }
  | { readonly type: 'step'; readonly label: string }
  | { readonly type: 'advance'; readonly parts: number }
  | { readonly type: 'partial'; readonly report: VersusReport }
  | { readonly type: 'done'; readonly report: VersusReport };

/**
 * The systems of these names, Mamba first, since all others are compared with it.
 * @throws MambaError `invalid-argument` with the list, on a name that is not in it.
 */
function chooseSystems(names: readonly string[]): readonly System[] {
  return chooseNamed(SYSTEMS, names.length === 0 ? [] : [SYSTEMS[0]!.name, ...names], 'system');
}

/**
 * Refuses what cannot be measured, before anything is.
 * @throws MambaError `invalid-argument`
 */
export function checkRequest({ systems, dModel, batch, lengths, seconds = 1, memory = 1 }: VersusRequest): void {
  chooseSystems(systems);
  for (const [name, value, most] of [
    ['d-model', dModel, 2 ** 14],
    ['batch', batch, 2 ** 12],
    ...lengths.map((length) => ['lengths', length, 2 ** 24] as const),
  ] as const)
    if (!(Number.isSafeInteger(value) && value >= 1 && value <= most))
      throw new MambaError('invalid-argument', `${name} cannot be ${value}`, {
        origin: `versus.${name}`,
        expected: `a whole number from 1 to ${most}`,
      });
  for (const [name, value] of Object.entries({ seconds, memory }))
    if (!(Number.isFinite(value) && value > 0))
      throw new MambaError('invalid-argument', `${name} cannot be ${value}`, {
        origin: `versus.${name}`,
        expected: 'a positive number',
      });
}

export interface RequestContext {
  tell(notice: VersusNotice): void;
  readonly signal: AbortSignal;
  /** The clock of the processor in milliseconds; `VersusOptions` says what it is for. */
  readonly processorTime?: (() => number) | undefined;
  /** The text that language models learn. */
  readonly corpus?: Uint8Array | undefined;
}

/** Runs a request on these backends, and tells what happens. */
export function runRequest(
  request: VersusRequest,
  backends: readonly FoundBackend[],
  { tell, signal, processorTime, corpus }: RequestContext,
): Promise<VersusReport> {
  checkRequest(request);
  const { systems, generation, tasks, ...sizes } = request;
  const observer: VersusObserver = {
    begin: (parts) => tell({ type: 'begin', parts }),
    step: (label) => tell({ type: 'step', label }),
    advance: (parts) => tell({ type: 'advance', parts }),
    partial: (report) => tell({ type: 'partial', report }),
  };
  return runVersus({
    ...sizes,
    backends,
    systems: chooseSystems(systems),
    generation: generation && { ...generation, models: GENERATION_MODELS },
    tasks: tasks && { ...tasks, corpus },
    processorTime,
    signal,
    observer,
  });
}
