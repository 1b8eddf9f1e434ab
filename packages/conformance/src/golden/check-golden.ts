/** Checks a backend by golden files, whose cases name their operations. */
import { openFile, openSafetensors, type SafetensorsFile } from '@mamba/checkpoint';
import type { Backend, CallArguments, HostTensor, Tensor } from '@mamba/core';
import { invoke, type Named, named, uploadInputs } from '../cases/case.ts';
import { type Check, isSkipped, type Skipped } from '../runner/check.ts';
import { readOutputs } from '../runner/check-case.ts';
import { Findings, largest, type TensorReport } from '../runner/report.ts';
import { compositionProcedure, type GoldenCompositions } from './compositions/golden-composition.ts';
import { GOLDEN_COMPOSITIONS } from './compositions/index.ts';
import { damaged, type GoldenCase, type OpenFile, readCases, tensorsOf } from './golden-file.ts';
import type { GoldenOperation } from './operations/golden-operation.ts';
import { GOLDEN_OPERATIONS } from './operations/index.ts';
import type { GoldenProcedure, ProcedureResults } from './procedures/golden-procedure.ts';
import { GOLDEN_PROCEDURES } from './procedures/index.ts';

/**
 * Checks the results of every case of a golden file whose operation the suite and the backend know, and the gradients
 * where both have them.
 * @param compositions Computations of other packages that the file may name. Default: none.
 * @throws MambaError `invalid-file` where the file is damaged or not of this format.
 */
export async function checkGolden(
  backend: Backend,
  path: string | URL,
  compositions: GoldenCompositions = {},
): Promise<readonly TensorReport[]> {
  const open: OpenFile = async () => openSafetensors(await openFile(path));
  const cases = await readCases(open);
  const reports: TensorReport[] = [];
  for (const item of cases)
    for (const part of partsOf(item)) {
      const outcome = await checkPart(backend, open, item, part, String(path), compositions);
      if (!isSkipped(outcome)) reports.push(...outcome);
    }
  return reports;
}

/**
 * The cases of a golden file as checks: `golden/scan-golden/len129`, and `golden/scan-golden/len129/gradients` where
 * the file has gradients. A case whose operation the suite does not know, and gradients that the contract does not
 * have, are skipped with that reason.
 */
export async function goldenChecks(
  open: OpenFile,
  source: string,
  prefix: string,
  compositions: GoldenCompositions = {},
): Promise<readonly Check[]> {
  const cases = await readCases(open);
  return cases.flatMap((item) =>
    partsOf(item).map(
      (part): Check => ({
        id: `${prefix}/${item.name}${part === 'grad' ? '/gradients' : ''}`,
        source,
        case: item.name,
        run: ({ backend }) => checkPart(backend, open, item, part, source, compositions),
      }),
    ),
  );
}

type Part = 'out' | 'grad';

const partsOf = ({ gradients }: GoldenCase): readonly Part[] => (gradients ? ['out', 'grad'] : ['out']);

/**
 * The least scale of a gradient, relative to the largest one of its case. Gradients that are mathematically 0 are
 * compared by it.
 */
const LEAST_GRADIENT = 1e-6;

async function checkPart(
  backend: Backend,
  open: OpenFile,
  item: GoldenCase,
  part: Part,
  source: string,
  compositions: GoldenCompositions,
): Promise<readonly TensorReport[] | Skipped> {
  const known: GoldenCompositions = { ...GOLDEN_COMPOSITIONS, ...compositions };
  const composition = Object.hasOwn(known, item.op) ? known[item.op] : undefined;
  const procedure = GOLDEN_PROCEDURES.get(item.op) ?? (composition && compositionProcedure(composition));
  if (procedure !== undefined) return checkProcedure(backend, open, item, part, procedure, source);
  const golden = GOLDEN_OPERATIONS.get(item.op);
  if (golden === undefined) return { skipped: `this suite knows no operation ${item.op}` };
  const call = part === 'out' ? golden : golden.gradients;
  if (call === undefined) return { skipped: `the contract has no gradients of ${golden.operation}` };
  const findings = new Findings(source, item.name, backend.precision);
  const file = await open();
  try {
    const options = golden.options(item.entry, `${file.name}: case ${item.name}`);
    checkTensors(file, item, golden);
    const tensors = await upload(backend, file, item, golden);
    try {
      const inputs = pick(tensors, Object.values(golden.inputs), '');
      const args = call.arguments(inputs, options, pick(tensors, Object.values(golden.outputs), 'd '));
      const support = backend.supports(call.operation, ...(args as CallArguments<typeof call.operation>));
      if (!support.supported) return { skipped: support.reason };
      const results = named(invoke(backend, call.operation, args));
      const { result } = golden.gradients ?? {};
      const renamed = part === 'grad' && result !== undefined ? { [result]: results.y! } : results;
      await compare(findings, backend, file, item, part, golden, renamed);
      return findings.reports;
    } finally {
      for (const tensor of Object.values(tensors)) tensor.dispose();
    }
  } finally {
    await file.close();
  }
}

/** Checks a case that is more than one operation. */
async function checkProcedure(
  backend: Backend,
  open: OpenFile,
  item: GoldenCase,
  part: Part,
  { tolerance, required, run }: GoldenProcedure,
  source: string,
): Promise<readonly TensorReport[] | Skipped> {
  const findings = new Findings(source, item.name, backend.precision);
  const file = await open();
  try {
    const origin = `${file.name}: case ${item.name}`;
    const inputs: Record<string, HostTensor> = {};
    for (const name of tensorsOf(file, item.name, 'in.')) inputs[name] = await file.read(`${item.name}/in.${name}`);
    const missing = required.find((name) => inputs[name] === undefined);
    if (missing !== undefined)
      throw damaged(origin, `no in.${missing}`, required.map((name) => `in.${name}`).join(', '));
    const results = await run({ backend, inputs, entry: item.entry, origin });
    if ('skipped' in results) return results;
    const found: ProcedureResults[Part] = results[part];
    const expected = await expectedValues(file, item.name, part);
    const leastScale = leastScaleOf(part, expected.values());
    for (const [name, host] of expected) {
      const { shape, data } = found[name] ?? { shape: [], data: [] };
      findings.matches(`${part}.${name}`, data, shape, host, tolerance.relative, { leastScale });
    }
    return findings.reports;
  } finally {
    await file.close();
  }
}

/** Uploads the inputs under the contract's names. The cotangent of an output has the output's name after `d `. */
async function upload(
  backend: Backend,
  file: SafetensorsFile,
  { name }: GoldenCase,
  { inputs, outputs }: GoldenOperation,
): Promise<Named<Tensor>> {
  const hosts: Record<string, { host: HostTensor }> = {};
  for (const input of tensorsOf(file, name, 'in.')) {
    const ours = Object.hasOwn(inputs, input) ? inputs[input]! : `d ${outputs[input.slice(1)]}`;
    hosts[ours] = { host: await file.read(`${name}/in.${input}`) };
  }
  return uploadInputs(backend, hosts);
}

function pick(tensors: Named<Tensor>, names: readonly string[], prefix: string): Named<Tensor> {
  return Object.fromEntries(
    names.flatMap((name) => {
      const tensor = tensors[`${prefix}${name}`];
      return tensor === undefined ? [] : [[name, tensor]];
    }),
  );
}

async function compare(
  findings: Findings,
  backend: Backend,
  file: SafetensorsFile,
  { name }: GoldenCase,
  part: Part,
  golden: GoldenOperation,
  results: Named<Tensor>,
): Promise<void> {
  const shapes = Object.fromEntries(Object.entries(results).map(([key, { shape }]) => [key, shape]));
  const actual = await readOutputs(backend, results);
  const names = part === 'out' ? golden.outputs : golden.inputs;
  const { relative } = (part === 'out' ? golden : golden.gradients!).tolerance;
  const expected = await expectedValues(file, name, part);
  const leastScale = leastScaleOf(part, expected.values());
  for (const [tensor, host] of expected) {
    const ours = names[tensor]!;
    findings.matches(`${part}.${tensor}`, actual[ours] ?? [], shapes[ours] ?? [], host, relative, { leastScale });
  }
}

/** The expected results or gradients of a case, by their names in the file. */
async function expectedValues(file: SafetensorsFile, name: string, part: Part): Promise<Map<string, HostTensor>> {
  const expected = new Map<string, HostTensor>();
  for (const tensor of tensorsOf(file, name, `${part}.`))
    expected.set(tensor, await file.read(`${name}/${part}.${tensor}`));
  return expected;
}

function leastScaleOf(part: Part, expected: Iterable<HostTensor>): number {
  return part === 'out' ? 0 : LEAST_GRADIENT * Math.max(0, ...[...expected].map(largest));
}

/**
 * Checks that a case has the tensors and sizes of its operation. A wrong case fails alone; the others are still
 * checked.
 */
function checkTensors(file: SafetensorsFile, { name, entry }: GoldenCase, golden: GoldenOperation): void {
  const { inputs, required, outputs, sizes } = golden;
  const origin = `${file.name}: case ${name}`;
  const has = (tensor: string): boolean => file.tensors.has(`${name}/${tensor}`);
  const unknown = tensorsOf(file, name, '').find((tensor) => !/^(in|out|grad)\./.test(tensor));
  if (unknown !== undefined) throw damaged(origin, unknown, 'in., out. and grad. tensors');
  const missing = required.find((input) => !has(`in.${input}`));
  if (missing !== undefined)
    throw damaged(origin, `no in.${missing}`, required.map((input) => `in.${input}`).join(', '));
  const cotangents = Object.keys(outputs).map((output) => `d${output}`);
  for (const input of tensorsOf(file, name, 'in.'))
    if (!Object.hasOwn(inputs, input) && !cotangents.includes(input))
      throw damaged(origin, `in.${input}`, `inputs ${[...Object.keys(inputs), ...cotangents].join(', ')}`);
  for (const output of tensorsOf(file, name, 'out.'))
    if (!Object.hasOwn(outputs, output)) throw damaged(origin, `out.${output}`, Object.keys(outputs).join(', '));
  const gradients = tensorsOf(file, name, 'grad.');
  for (const gradient of gradients)
    if (!has(`in.${gradient}`) || cotangents.includes(gradient))
      throw damaged(origin, `grad.${gradient}`, `an in.${gradient}`);
  const [first] = Object.keys(outputs);
  if (gradients.length > 0 && !has(`in.d${first}`))
    throw damaged(origin, `no in.d${first}`, `the cotangent of ${first}`);
  if (!has(`out.${first}`)) throw damaged(origin, `no out.${first}`, `at least the expected ${first}`);
  const actual = sizes?.((input) => file.tensors.get(`${name}/in.${input}`)?.shape ?? []) ?? {};
  for (const [key, value] of Object.entries(actual))
    if (entry[key] !== undefined && entry[key] !== value)
      throw damaged(`${origin}: ${key}`, `${String(entry[key])} in the metadata`, `${value}, as the tensors have it`);
}
