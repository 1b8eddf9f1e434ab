// The support matrix, from what the checks of environments found and from what was checked by hand.
import { load } from './results.ts';

/** The files, in the order of the matrix: `npm run environments` writes the first. */
const FILES = ['environments.json', 'environments-by-hand.json'] as const;

interface Row {
  readonly kind: 'host' | 'bundler' | 'compiler';
  readonly environment: string;
  readonly passed: boolean;
  readonly backend?: 'cpu' | 'webgpu';
  readonly features?: {
    readonly threads?: number;
    readonly simd?: boolean;
    readonly relaxed?: boolean;
    readonly f16?: boolean;
    readonly subgroups?: string;
    readonly software?: boolean;
  };
  /** What it said: how it failed, or what the backend is. */
  readonly said?: string;
  /** When, and below it how, a row was checked by hand. */
  readonly date?: string;
  readonly how?: string;
}

interface Report {
  readonly date?: string;
  readonly rows: readonly Row[];
}

export interface Support {
  readonly kind: Row['kind'];
  readonly environment: string;
  readonly passed: boolean;
  readonly backend: string;
  /** One text a feature; a feature that the backend does not have is a dash. */
  readonly threads: string;
  readonly simd: string;
  readonly relaxed: string;
  readonly f16: string;
  readonly subgroups: string;
  readonly date: string;
  readonly how: string;
}

const YES = 'yes';
const NO = 'no';
const NONE = '–';
const said = (value: boolean | undefined): string => (value === undefined ? NONE : value ? YES : NO);

/** What the checks of environments do, by the kind of an environment. */
const CHECKED = {
  host: 'installed from tarballs; three threads compute a product',
  bundler: 'installed from tarballs, built without a warning, and run',
  compiler: 'installed from tarballs; a program is compiled without skipLibCheck',
} as const;
const IN_SOFTWARE = 'installed from tarballs; adds on an adapter in software';

/** Returns every environment that was checked. */
export const support = (): readonly Support[] =>
  FILES.flatMap((file) => {
    const report = load<Report>(file);
    return report.rows.map((row) => toSupport(row, report.date));
  });

function toSupport(row: Row, date: string | undefined): Support {
  const { kind, environment, passed, backend, features = {} } = row;
  const subgroups = features.subgroups ?? (backend === 'webgpu' ? NO : NONE);
  // What failed told of no backend: its name tells which it was to run on.
  const wanted = environment.includes('WebGPU') ? 'webgpu' : 'cpu';
  return {
    kind,
    environment,
    passed,
    backend: kind === 'compiler' ? NONE : (backend ?? wanted),
    threads: features.threads === undefined ? NONE : `${features.threads}`,
    simd: said(features.simd),
    relaxed: said(features.relaxed),
    f16: said(features.f16),
    // The smallest and the greatest subgroup are one number on most adapters.
    subgroups: subgroups.replace(/^(\d+) to \1$/, '$1').replace('none', NO),
    date: (row.date ?? date ?? '').slice(0, 10),
    how: row.how ?? (features.software === true ? IN_SOFTWARE : CHECKED[kind]),
  };
}
