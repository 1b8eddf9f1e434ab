import type { Machine, Report, Result } from '../schema/report.ts';

/** The key of a measurement: results of two runs with the same backend, dtype and case are compared. */
export function keyOf({ backend, dtype, case: id }: Pick<Result, 'backend' | 'dtype' | 'case'>): string {
  return `${id} · ${backend} · ${dtype}`;
}

/** A machine is its hardware with the engine that ran there: two browsers of one computer are two. */
export function machineKey({ machine, backends }: Pick<Report, 'machine' | 'backends'>): string {
  const { cpu, cores, memory, os, arch, engine } = machine;
  const adapter = backends.find(({ name, status }) => name === 'webgpu' && status === 'ready')?.description ?? '';
  return [cpu, cores, Math.round(memory / 2 ** 30), os, arch, engine.name, engine.version, adapter].join(' | ');
}

/** A name that is short enough for a legend: `Example CPU, Node 20.20.2`. */
export function machineName({ cpu, engine }: Machine): string {
  const name = engine.name === 'node' ? 'Node' : engine.name;
  return `${cpu.replace(/ @ .*|\(R\)|\(TM\)|CPU|Processor/g, '').trim()}, ${name} ${engine.version.replace(/^(\d+\.\d+).*/, '$1')}`;
}

/** True where both runs measured the same versions. */
export function sameVersions(a: Pick<Report, 'tool' | 'backends'>, b: Pick<Report, 'tool' | 'backends'>): boolean {
  const versions = new Map(a.backends.map(({ name, version }) => [name, version]));
  const same = b.backends.every(
    ({ name, version }) => version === undefined || (versions.get(name) ?? version) === version,
  );
  return a.tool.version === b.tool.version && same;
}

/** Versions of what was measured: those of the tool and of each backend. */
export function versionsOf({ tool, backends }: Pick<Report, 'tool' | 'backends'>): string {
  const named = backends.flatMap(({ name, version }) => (version === undefined ? [] : [`${name} ${version}`]));
  return [`bench ${tool.version}`, ...named].join(', ');
}
