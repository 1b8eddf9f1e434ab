/** Golden files of selective scans, in the format of the fixtures' README. */
import { openFile, openSafetensors, type SafetensorsFile } from '@mamba/checkpoint';
import {
  type Backend,
  type CallArguments,
  type Discretization,
  type HostTensor,
  MambaError,
  type Tensor,
} from '@mamba/core';
import { named, uploadInputs } from '../cases/case.ts';
import { SCAN, SCAN_BACKWARD } from '../cases/selective-scan.ts';
import { type Check, isSkipped, type Skipped } from '../runner/check.ts';
import { readOutputs } from '../runner/check-case.ts';
import { Findings, type TensorReport } from '../runner/report.ts';

/** Opens a safetensors file anew: each check reads what it needs, tensor by tensor, and closes it. */
export type OpenFile = () => Promise<SafetensorsFile>;

/**
 * Every case of a golden file of scans against a backend: y and the last state, and the gradients where the backend has them.
 * @throws MambaError `invalid-file` where the file is damaged or not of this format.
 */
export async function checkGolden(backend: Backend, path: string | URL): Promise<readonly TensorReport[]> {
  const open: OpenFile = async () => openSafetensors(await openFile(path));
  const cases = await readCases(open);
  const reports: TensorReport[] = [];
  for (const item of cases)
    for (const part of partsOf(item)) {
      const outcome = await checkScan(backend, open, item, part, String(path));
      if (!isSkipped(outcome)) reports.push(...outcome);
    }
  return reports;
}

/** The same as checks: `golden/scan-golden/len129`, and `golden/scan-golden/len129/gradients` where the file has gradients. */
export async function goldenChecks(open: OpenFile, source: string, prefix: string): Promise<readonly Check[]> {
  const cases = await readCases(open);
  return cases.flatMap((item) =>
    partsOf(item).map(
      (part): Check => ({
        id: `${prefix}/${item.name}${part === 'grad' ? '/gradients' : ''}`,
        source,
        case: item.name,
        run: ({ backend }) => checkScan(backend, open, item, part, source),
      }),
    ),
  );
}

type Part = 'out' | 'grad';

const partsOf = ({ gradients }: GoldenCase): readonly Part[] => (gradients ? ['out', 'grad'] : ['out']);

interface GoldenCase {
  readonly name: string;
  readonly deltaSoftplus: boolean;
  readonly discretization: Discretization;
  /** The file has gradients of it. */
  readonly gradients: boolean;
  /** What the metadata says of its sizes. */
  readonly sizes: Readonly<Record<string, unknown>>;
}

/** File's name → ours. */
const INPUTS = {
  u: 'u',
  delta: 'delta',
  A: 'A',
  B: 'B',
  C: 'C',
  D: 'D',
  z: 'z',
  delta_bias: 'deltaBias',
  initial_state: 'initialState',
  resets: 'resets',
  dy: 'dy',
  dlast_state: 'dLastState',
} as const;
const REQUIRED = ['u', 'delta', 'A', 'B', 'C'];

async function readCases(open: OpenFile): Promise<readonly GoldenCase[]> {
  const file = await open();
  try {
    const listed = parseCases(file);
    const unlisted = [...file.tensors.keys()].find((name) => !listed.some((item) => name.startsWith(`${item.name}/`)));
    if (unlisted !== undefined)
      throw damaged(file.name, `the tensor ${unlisted}`, 'tensors of the cases that the metadata lists');
    return listed;
  } finally {
    await file.close();
  }
}

function parseCases(file: SafetensorsFile): readonly GoldenCase[] {
  const text = file.metadata.get('cases');
  if (text === undefined) throw damaged(file.name, 'no __metadata__.cases', 'a JSON map of cases');
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (cause) {
    throw damaged(`${file.name}: __metadata__.cases`, 'text that is not JSON', 'JSON', cause);
  }
  if (typeof json !== 'object' || json === null || Array.isArray(json) || Object.keys(json).length === 0)
    throw damaged(`${file.name}: __metadata__.cases`, String(text).slice(0, 40), 'a map with at least one case');
  return Object.entries(json).map(([name, entry]) => {
    const { softplus, discretization = 'euler' } = (entry ?? {}) as Record<string, unknown>;
    const origin = `${file.name}: case ${name}`;
    if (typeof softplus !== 'boolean') throw damaged(origin, `softplus ${String(softplus)}`, 'true or false');
    if (discretization !== 'euler' && discretization !== 'zoh' && discretization !== 'bilinear')
      throw damaged(origin, `discretization ${String(discretization)}`, 'euler, zoh or bilinear');
    const gradients = tensorsOf(file, name, 'grad.').length > 0;
    return { name, deltaSoftplus: softplus, discretization, gradients, sizes: entry as Record<string, unknown> };
  });
}

/** A case that is wrong fails by itself; the others of the file are still checked. */
function checkTensors(file: SafetensorsFile, { name, sizes }: GoldenCase): void {
  const origin = `${file.name}: case ${name}`;
  const unknown = tensorsOf(file, name, '').find((tensor) => !/^(in|out|grad)\./.test(tensor));
  if (unknown !== undefined) throw damaged(origin, unknown, 'in., out. and grad. tensors');
  const missing = REQUIRED.find((input) => !file.tensors.has(`${name}/in.${input}`));
  if (missing !== undefined)
    throw damaged(origin, `no in.${missing}`, REQUIRED.map((input) => `in.${input}`).join(', '));
  for (const input of tensorsOf(file, name, 'in.'))
    if (!Object.hasOwn(INPUTS, input)) throw damaged(origin, `in.${input}`, `inputs ${Object.keys(INPUTS).join(', ')}`);
  for (const output of tensorsOf(file, name, 'out.'))
    if (output !== 'y' && output !== 'last_state') throw damaged(origin, `out.${output}`, 'out.y and out.last_state');
  const gradients = tensorsOf(file, name, 'grad.');
  for (const gradient of gradients)
    if (!file.tensors.has(`${name}/in.${gradient}`)) throw damaged(origin, `grad.${gradient}`, `an in.${gradient}`);
  if (gradients.length > 0 && !file.tensors.has(`${name}/in.dy`))
    throw damaged(origin, 'no in.dy', 'the cotangent of y');
  if (!file.tensors.has(`${name}/out.y`)) throw damaged(origin, 'no out.y', 'at least the expected y');
  checkSizes(file, name, sizes, origin);
}

/** The metadata's sizes, where it gives them, are the tensors'. */
function checkSizes(file: SafetensorsFile, name: string, sizes: GoldenCase['sizes'], origin: string): void {
  const shape = (input: string): readonly number[] => file.tensors.get(`${name}/in.${input}`)?.shape ?? [];
  const [batch, length, dim] = shape('u');
  const selective = [shape('B'), shape('C')].find(({ length: rank }) => rank === 4);
  const actual = { batch, length, dim, state: shape('A')[1], groups: selective?.[2] ?? 1 };
  for (const [key, value] of Object.entries(actual))
    if (sizes[key] !== undefined && sizes[key] !== value)
      throw damaged(`${origin}: ${key}`, `${String(sizes[key])} in the metadata`, `${value}, as the tensors have it`);
}

function tensorsOf(file: SafetensorsFile, name: string, kind: string): string[] {
  const prefix = `${name}/${kind}`;
  return [...file.tensors.keys()].filter((key) => key.startsWith(prefix)).map((key) => key.slice(prefix.length));
}

async function checkScan(
  backend: Backend,
  open: OpenFile,
  item: GoldenCase,
  part: Part,
  source: string,
): Promise<readonly TensorReport[] | Skipped> {
  const { name, deltaSoftplus, discretization } = item;
  const findings = new Findings(source, name, backend.precision);
  const file = await open();
  try {
    checkTensors(file, item);
    const hosts: Record<string, { host: HostTensor }> = {};
    for (const input of tensorsOf(file, name, 'in.'))
      hosts[INPUTS[input as keyof typeof INPUTS]] = { host: await file.read(`${name}/in.${input}`) };
    const tensors = uploadInputs(backend, hosts);
    try {
      const { u, delta, A, B, C, D, z, deltaBias, initialState, resets, dy, dLastState } = tensors as Record<
        string,
        Tensor
      >;
      const options = { D, z, deltaBias, initialState, resets, deltaSoftplus, discretization };
      const compare = async (results: Readonly<Record<string, Tensor>>): Promise<void> => {
        const shapes = Object.fromEntries(Object.entries(results).map(([key, { shape }]) => [key, shape]));
        const actual = await readOutputs(backend, results);
        for (const output of tensorsOf(file, name, `${part}.`)) {
          const key =
            output === 'last_state' ? 'lastState' : output === 'y' ? 'y' : INPUTS[output as keyof typeof INPUTS];
          const expected = await file.read(`${name}/${part}.${output}`);
          const { relative } = part === 'out' ? SCAN : SCAN_BACKWARD;
          findings.matches(`${part}.${output}`, actual[key] ?? [], shapes[key] ?? [], expected, relative);
        }
      };
      if (part === 'out') {
        await compare(named(backend.selectiveScan(u!, delta!, A!, B!, C!, options)));
        return findings.reports;
      }
      const args: CallArguments<'selectiveScanBackward'> = [
        ...([u!, delta!, A!, B!, C!] as const),
        options,
        { y: dy!, lastState: dLastState },
      ];
      const support = backend.supports('selectiveScanBackward', ...args);
      if (!support.supported) return { skipped: support.reason };
      await compare(named(backend.selectiveScanBackward(...(args as Parameters<Backend['selectiveScanBackward']>))));
    } finally {
      for (const tensor of Object.values(tensors)) tensor.dispose();
    }
  } finally {
    await file.close();
  }
  return findings.reports;
}

export function damaged(origin: string, given: string, expected: string, cause?: unknown): MambaError {
  return new MambaError('invalid-file', `${origin} is not valid`, { origin, given, expected, cause });
}
