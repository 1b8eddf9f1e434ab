/** The run that the page and its worker share. */
import { type CheckResult, runConformance, type Section } from '@mamba/conformance';
import { type CpuOptions, cpu } from '@mamba/cpu';

export interface Job {
  readonly options: CpuOptions;
  /** Default: the whole suite. */
  readonly scope?: readonly Section[] | undefined;
}

export interface JobReport {
  readonly description: string;
  readonly threads: unknown;
  readonly checks: readonly CheckResult[];
  /** Tensors and bytes alive at the end. */
  readonly left: { readonly tensors: number; readonly bytes: number };
}

export async function run({ options, scope }: Job, fixtures: string): Promise<JobReport> {
  const backend = await cpu(options).create();
  const { checks } = await runConformance(backend, { scope, fixtures: new URL(fixtures) });
  const { tensors, bytes } = backend.memory();
  await backend.dispose();
  const { description, details } = backend;
  return { description, threads: details.threads, checks, left: { tensors, bytes } };
}
