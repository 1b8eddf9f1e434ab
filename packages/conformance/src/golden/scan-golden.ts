/** Golden files of selective scans, in the format of the fixtures' README. */
import { openFile, openSafetensors, type SafetensorsFile } from '@mamba/checkpoint';
import {
  type Backend,
  type CallArguments,
  type Discretization,
  type HostTensor,
  MambaError,
  type Support,
  type Tensor,
} from '@mamba/core';
import { named, uploadInputs } from '../cases/case.ts';
import { SCAN, SCAN_BACKWARD } from '../cases/selective-scan.ts';
import type { Check } from '../runner/check.ts';
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
  for (const item of cases) reports.push(...(await checkScan(backend, open, item, String(path))));
  return reports;
}

/** The same as checks, one a case: `golden/scan-golden/len129`. */
export async function goldenChecks(open: OpenFile, source: string, prefix: string): Promise<readonly Check[]> {
  const cases = await readCases(open);
  return cases.map((item) => ({
    id: `${prefix}/${item.name}`,
    source,
    case: item.name,
    run: ({ backend }) => checkScan(backend, open, item, source),
  }));
}

interface GoldenCase {
  readonly name: string;
  readonly deltaSoftplus: boolean;
  readonly discretization: Discretization;
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
    for (const { name } of listed) checkTensors(file, name);
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
    return { name, deltaSoftplus: softplus, discretization };
  });
}

function checkTensors(file: SafetensorsFile, name: string): void {
  const origin = `${file.name}: case ${name}`;
  const missing = REQUIRED.find((input) => !file.tensors.has(`${name}/in.${input}`));
  if (missing !== undefined)
    throw damaged(origin, `no in.${missing}`, REQUIRED.map((input) => `in.${input}`).join(', '));
  for (const input of tensorsOf(file, name, 'in.'))
    if (!(input in INPUTS)) throw damaged(origin, `in.${input}`, `inputs ${Object.keys(INPUTS).join(', ')}`);
  for (const output of tensorsOf(file, name, 'out.'))
    if (output !== 'y' && output !== 'last_state') throw damaged(origin, `out.${output}`, 'out.y and out.last_state');
  const gradients = tensorsOf(file, name, 'grad.');
  for (const gradient of gradients)
    if (!file.tensors.has(`${name}/in.${gradient}`)) throw damaged(origin, `grad.${gradient}`, `an in.${gradient}`);
  if (gradients.length > 0 && !file.tensors.has(`${name}/in.dy`))
    throw damaged(origin, 'no in.dy', 'the cotangent of y');
  if (tensorsOf(file, name, 'out.').length + gradients.length === 0)
    throw damaged(origin, 'nothing expected', 'out.y, out.last_state or gradients');
}

function tensorsOf(file: SafetensorsFile, name: string, kind: string): string[] {
  const prefix = `${name}/${kind}`;
  return [...file.tensors.keys()].filter((key) => key.startsWith(prefix)).map((key) => key.slice(prefix.length));
}

async function checkScan(
  backend: Backend,
  open: OpenFile,
  { name, deltaSoftplus, discretization }: GoldenCase,
  source: string,
): Promise<readonly TensorReport[]> {
  const findings = new Findings(source, name, backend.precision);
  const file = await open();
  try {
    const hosts: Record<string, { host: HostTensor }> = {};
    for (const input of tensorsOf(file, name, 'in.'))
      hosts[INPUTS[input as keyof typeof INPUTS]] = { host: await file.read(`${name}/in.${input}`) };
    const tensors = uploadInputs(backend, hosts);
    try {
      const { u, delta, A, B, C, D, z, deltaBias, initialState, dy, dLastState } = tensors as Record<string, Tensor>;
      const options = { D, z, deltaBias, initialState, deltaSoftplus, discretization };
      const compare = async (kind: 'out' | 'grad', results: Readonly<Record<string, Tensor>>): Promise<void> => {
        const actual = await readOutputs(backend, results);
        for (const output of tensorsOf(file, name, `${kind}.`)) {
          const expected = await file.read(`${name}/${kind}.${output}`);
          const ours = output === 'last_state' ? 'lastState' : INPUTS[output as keyof typeof INPUTS];
          const { relative } = kind === 'out' ? SCAN : SCAN_BACKWARD;
          findings.close(`${kind}.${output}`, actual[output] ?? actual[ours] ?? [], numbers(expected), relative);
        }
      };
      await compare('out', named(backend.selectiveScan(u!, delta!, A!, B!, C!, options)));
      if (tensorsOf(file, name, 'grad.').length > 0) {
        const args: CallArguments<'selectiveScanBackward'> = [
          ...([u!, delta!, A!, B!, C!] as const),
          options,
          { y: dy!, lastState: dLastState },
        ];
        const support: Support = backend.supports('selectiveScanBackward', ...args);
        if (support.supported)
          await compare(
            'grad',
            named(backend.selectiveScanBackward(...(args as Parameters<Backend['selectiveScanBackward']>))),
          );
      }
    } finally {
      for (const tensor of Object.values(tensors)) tensor.dispose();
    }
  } finally {
    await file.close();
  }
  return findings.reports;
}

/** The values of a float or integer tensor, as stored. */
export function numbers(host: HostTensor): ArrayLike<number> {
  if (host.dtype !== 'float16' && host.dtype !== 'bfloat16') return host.data;
  throw new MambaError('unsupported', 'expected values are stored in halves', {
    given: host.dtype,
    expected: 'float64, float32 or integers',
  });
}

export function damaged(origin: string, given: string, expected: string, cause?: unknown): MambaError {
  return new MambaError('invalid-file', `${origin} is not valid`, { origin, given, expected, cause });
}
