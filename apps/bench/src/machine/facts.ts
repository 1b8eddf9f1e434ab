import os from 'node:os';
import process from 'node:process';
import type { Machine } from '../schema/report.ts';

/** What names this machine in a report. */
export function machineFacts(): Machine {
  const cpus = os.cpus();
  const v8 = process.versions.v8;
  return {
    cpu: cpus[0]?.model.trim().replace(/\s+/g, ' ') || 'unknown processor',
    cores: Math.max(cpus.length, 1),
    memory: os.totalmem(),
    load: os.loadavg()[0] ?? 0,
    os: `${os.type()} ${os.release()}`,
    arch: process.arch,
    engine: { name: 'node', version: process.versions.node, ...(v8 !== undefined && { v8 }) },
  };
}
