import { platform } from '#platform';
import { measureCeilings } from '../machine/ceilings.ts';
import { wasmFeatures } from '../machine/features.ts';
import { styleFor } from '../report/style.ts';
import { type Look, renderBackends, renderCeilings, renderHeading, wrap } from '../report/table.ts';
import { findCandidates } from '../runner/candidates.ts';
import type { Terminal } from './terminal.ts';

/** Shows this machine and its limits, which are measured in some seconds. */
export async function machineCommand(json: boolean, { stdout, environment }: Terminal): Promise<number> {
  const machine = platform.machineFacts();
  const features = wasmFeatures();
  const found = await findCandidates([]);
  const records = found.map(({ record }) => record);
  const status = records.some((record) => record.status === 'failed') ? 1 : 0;
  const ceilings = [];
  for (const threads of new Set([1, machine.cores])) {
    ceilings.push(...(await measureCeilings({ budget: 500, pause: () => platform.tick(), threads })));
  }
  if (json) {
    stdout.write(`${JSON.stringify({ machine, features, backends: records, ceilings }, null, 2)}\n`);
    return status;
  }
  const look: Look = { style: styleFor(stdout, environment), width: stdout.columns ?? 80 };
  const print = (text: string): void => void stdout.write(`${text}\n`);
  print(`\n${renderHeading({ machine }, look)}\n`);
  const have = Object.entries(features).map(([name, there]) => `${name} ${there ? 'yes' : 'no'}`);
  print(`  WebAssembly: ${have.join(', ')}`);
  print(renderCeilings(ceilings, records, look));
  print(`\n${renderBackends(records, look)}`);
  for (const { name, status: state, details = {} } of records) {
    if (state !== 'ready') continue;
    const facts = Object.entries(details).map(([key, value]) => `${key} ${value}`);
    for (const line of wrap(`${name}: ${facts.join(', ')}`, look.width - 2)) print(look.style.dim(`  ${line}`));
  }
  return status;
}
