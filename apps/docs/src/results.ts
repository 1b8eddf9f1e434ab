// Reads the files of results, and finds what pages quote of them.
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const RESULTS = fileURLToPath(new URL('../../../docs/performance/results/', import.meta.url));

/** A row of `mamba-bench kernels`. */
export interface KernelRow {
  readonly name: string;
  readonly length?: number;
  readonly batch?: number;
  readonly queries?: number;
  readonly rows?: number;
  readonly inputs?: number;
  readonly outputs?: number;
  readonly matrixPrecision?: string;
  readonly 'TFLOP/s'?: number;
  readonly microseconds: number;
  readonly 'tokens/s'?: number;
}

/** A file that `mamba-bench kernels --backend webgpu` wrote. */
export interface KernelReport {
  readonly date: string;
  readonly node: string;
  readonly device: { readonly device: string };
  readonly rows: readonly KernelRow[];
}

/** PyTorch's attention beside ours. */
export interface AttentionReport {
  readonly rows: readonly { readonly length: number; readonly dtype: string; readonly microseconds: number }[];
}

/** A report of `mamba-bench`, as far as pages quote it. */
export interface BenchReport {
  readonly startedAt: string;
  readonly machine: { readonly cpu: string; readonly cores: number };
  readonly results: readonly {
    readonly case: string;
    readonly backend: string;
    readonly dtype: string;
    readonly shape: { readonly length: number; readonly dim: number; readonly state: number };
    readonly time: { readonly median: number };
    readonly rate: { readonly perSecond: number };
  }[];
}

/** A report of `mamba-bench versus`, as far as pages quote it. */
export interface VersusReport {
  readonly startedAt: string;
  readonly machine: { readonly cpu: string };
  readonly settings: { readonly dModel: number };
  /** A device's name where there is a device. */
  readonly backends: readonly { readonly description: string; readonly details: { readonly device?: string } }[];
  readonly systems: readonly { readonly name: string; readonly label: string }[];
  readonly points: readonly {
    readonly system: string;
    readonly measure: string;
    readonly length: number;
    readonly time?: { readonly median: number };
    readonly memory?: { readonly state?: number };
  }[];
  readonly generation: readonly {
    readonly label: string;
    readonly prompt: number;
    readonly batch: number;
    /** Absent where the batch had no room. */
    readonly perSecond?: number;
  }[];
}

/** What trainings left, as `scripts/learning.mjs` gathers it. */
export interface LearningReport {
  readonly date: string;
  readonly machine: { readonly cpu: string; readonly cores: number };
  readonly runs: readonly {
    readonly name: string;
    readonly losses: readonly { readonly step: number; readonly loss: number }[];
    readonly tests: readonly {
      readonly step: number;
      readonly accuracy: readonly { readonly right: number; readonly answers: number }[];
    }[];
  }[];
}

export const load = <T>(file: string): T => JSON.parse(readFileSync(RESULTS + file, 'utf8')) as T;

/** Returns the first entry that meets a condition. A file that has none, or no longer has it, stops the build. */
export function find<T>(entries: readonly T[], file: string, what: string, meets: (entry: T) => boolean): T {
  const found = entries.find(meets);
  if (found === undefined) throw new Error(`${file} has no ${what}: name a measurement that it has`);
  return found;
}
