/** Numbers as people read them: three digits, a unit that fits. */
import type { BackendRecord, Ceiling } from '../schema/report.ts';

const TIMES = [
  [1, 's'],
  [1e-3, 'ms'],
  [1e-6, 'µs'],
  [1e-9, 'ns'],
] as const;

export function formatSeconds(seconds: number): string {
  const [scale, unit] = unitOf(seconds);
  return `${digits(seconds / scale)} ${unit}`;
}

/** A range in the unit of `formatSeconds(reference)`: `6.90–7.21`. */
export function formatRange(low: number, high: number, reference: number): string {
  const [scale] = unitOf(reference);
  return `${digits(low / scale)}–${digits(high / scale)}`;
}

export function formatBytes(bytes: number): string {
  return scaled(bytes, 1024, ['B', 'KiB', 'MiB', 'GiB', 'TiB']);
}

/** A count with its prefix, to be followed by a unit: `45.4 G`. */
export function formatCount(count: number): string {
  return scaled(count, 1000, ['', 'k', 'M', 'G', 'T']).trim();
}

/** Three significant digits, no exponent. */
export function digits(value: number): string {
  if (value === 0) return '0';
  const magnitude = Math.floor(Math.log10(Math.abs(value)));
  return value.toFixed(Math.min(Math.max(2 - magnitude, 0), 4));
}

export function formatPercent(share: number): string {
  return `${(share * 100).toFixed(0)} %`;
}

/** An error, which is read by its exponent: `1.2e-7`. */
export function formatError(relative: number): string {
  return relative === 0 ? '0' : relative.toExponential(1);
}

/** A rate as a whole number with its thousands apart, or with three digits below a thousand: `2,159`, `45.8`. */
export function formatRate(perSecond: number): string {
  return perSecond >= 1000 ? Math.round(perSecond).toLocaleString('en') : digits(perSecond);
}

/** A duration to wait for: `1 min 20 s`. */
export function formatWait(seconds: number): string {
  const whole = Math.max(0, Math.round(seconds));
  return whole < 60 ? `${whole} s` : `${Math.floor(whole / 60)} min ${String(whole % 60).padStart(2, '0')} s`;
}

/** A power of 2 as `2^9`, other numbers as they are. */
export function formatPower(value: number): string {
  const power = Math.log2(value);
  return Number.isInteger(power) ? `2^${power}` : String(value);
}

/** A line for each mode and number of threads: `39.5 GFLOP/s, 15.2 GB/s read (WebAssembly SIMD, 1 thread)`. */
export function describeCeilings(ceilings: readonly Ceiling[]): string[] {
  const groups = new Map<string, Ceiling[]>();
  for (const ceiling of ceilings) {
    const { mode = 'plain', threads } = ceiling;
    const key = `${mode === 'plain' ? 'WebAssembly SIMD' : `${mode} SIMD`}, ${threads} ${threads === 1 ? 'thread' : 'threads'}`;
    groups.set(key, [...(groups.get(key) ?? []), ceiling]);
  }
  return [...groups].map(([key, group]) => {
    const limits = group.map(({ bound, perSecond }) =>
      bound === 'operations' ? `${formatCount(perSecond)}FLOP/s` : `${formatCount(perSecond)}B/s read`,
    );
    return `${limits.join(', ')} (${key})`;
  });
}

function unitOf(seconds: number): readonly [number, string] {
  return TIMES.find(([scale]) => seconds >= scale) ?? TIMES[TIMES.length - 1]!;
}

function scaled(value: number, base: number, units: readonly string[]): string {
  let unit = 0;
  while (value >= base && unit < units.length - 1) {
    value /= base;
    unit++;
  }
  return `${unit === 0 ? String(Math.round(value)) : digits(value)} ${units[unit]}`;
}

/** The reason for which a backend takes no part. */
export function absence(status: BackendRecord['status'], reason: string | undefined): string {
  return `${status === 'failed' ? 'failed' : 'not here'}: ${reason}`;
}
