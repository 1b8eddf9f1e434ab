/** The command `mamba-conformance`: checks a backend by the suite, golden files and checkpoints. */
import { createRequire } from 'node:module';
import { basename, join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { openFile, openSafetensors } from '@mamba/checkpoint';
import { isMambaError } from '@mamba/core';
import { messageWithHelp } from '@mamba/core/toolkit';
import { Command, CommanderError } from 'commander';
import pc from 'picocolors';
import { goldenChecks } from '../golden/check-golden.ts';
import { checkpointChecks } from '../golden/checkpoint.ts';
import type { Check } from '../runner/check.ts';
import { Findings, type TensorReport } from '../runner/report.ts';
import { type CheckResult, type RunSummary, runConformance } from '../runner/run.ts';
import { suite } from '../runner/suite.ts';
import { writeTemplate } from '../template/write-template.ts';
import { loadBackend } from './load-backend.ts';
import { loadCompositions } from './load-compositions.ts';
import { formatFailures, formatLegend, formatSkipped, formatTable } from './table.ts';

interface Options {
  readonly backend?: string;
  readonly golden: readonly string[];
  readonly compositions: readonly string[];
  readonly checkpoint: readonly string[];
  readonly fixtures?: string;
  readonly json?: true;
  readonly list?: true;
  readonly filter?: string;
  readonly strict?: true;
  readonly template?: string;
}

const { version } = createRequire(import.meta.url)('../../package.json') as { version: string };

const collect = (value: string, previous: readonly string[]): string[] => [...previous, value];

const program = new Command('mamba-conformance')
  .description(
    'Checks a backend against the reference. With --golden or --checkpoint only these files are checked, otherwise the whole suite ' +
      'and its fixtures, where they are. Exits with 1 if anything fails.',
  )
  .option('-b, --backend <name-or-module>', 'cpu, reference, … (the package @mamba/NAME), or a module that exports one')
  .option('--golden <file>', 'a safetensors file of calls with expected results; may be repeated', collect, [])
  .option(
    '--compositions <module>',
    'a module with the computations that golden files name; may be repeated; default: @mamba/mixers, where it is',
    collect,
    [],
  )
  .option('--checkpoint <dir>', 'a checkpoint folder with expected.safetensors; may be repeated', collect, [])
  .option('--fixtures <folder-or-address>', "the suite's golden files; default: those of a clone of the repository")
  .option('--filter <text>', 'only checks whose id, or a part of it after a /, starts so')
  .option('--strict', 'a check that is skipped fails: nothing that was asked for stays unchecked')
  .option('--list', 'print the ids of the checks and run nothing')
  .option('--json', 'print the results as JSON')
  .option('--template <folder>', 'write the package of a new backend, called as the folder is, and run nothing')
  .version(version)
  .addHelpText('after', '\nExit status: 0 all pass, 1 something fails, 2 the command could not run.')
  .exitOverride()
  .action(main);

// A reader that closes the pipe early, as `| head` does, is not an error.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code !== 'EPIPE') throw error;
});

try {
  await program.parseAsync();
} catch (error) {
  // commander has printed its own message. Help and version end with an error of code 0.
  if (!(error instanceof CommanderError)) process.stderr.write(`mamba-conformance: ${explain(error)}\n`);
  process.exitCode = error instanceof CommanderError && error.exitCode === 0 ? 0 : 2;
}

async function main(options: Options): Promise<void> {
  if (options.template !== undefined) {
    const files = await writeTemplate(options.template, version);
    process.stdout.write(`${files.map((file) => join(options.template!, file)).join('\n')}\n`);
    return;
  }
  const { checks, broken } = await selectChecks(options);
  const { filter, list } = options;
  const selected = filter === undefined ? checks : checks.filter(({ id }) => `/${id}`.includes(`/${filter}`));
  if (selected.length + broken.length === 0)
    throw new Error(`no check's id starts with '${filter}', nor a part of one; see --list`);
  if (list) {
    process.stdout.write(selected.map(({ id }) => `${id}\n`).join(''));
    reportBroken(broken);
    return;
  }
  if (options.backend === undefined) throw new Error('--backend is missing: name one, as in --backend cpu');
  const backend = await loadBackend(options.backend);
  try {
    const summary = await runConformance(backend, { checks: selected, onResult: progress() });
    const skipped = options.strict ? skippedAsFailed(summary.checks) : [];
    const results = [...broken, ...summary.results, ...skipped];
    print(options, { ...summary, results, failed: summary.failed + broken.length + skipped.length });
  } finally {
    await backend.dispose();
  }
}

/** The URL of a folder, from its path or its address. */
function toFolder(given: string): URL {
  const address = /^[a-z]{2,}:/.test(given) ? given : pathToFileURL(resolve(given)).href;
  return new URL(address.endsWith('/') ? address : `${address}/`);
}

/**
 * The checks of the given files, or of the suite. A file that cannot be read is a failed result, and the others are
 * still checked.
 */
async function selectChecks({
  golden,
  compositions,
  checkpoint,
  fixtures,
}: Options): Promise<{ checks: readonly Check[]; broken: readonly TensorReport[] }> {
  if (golden.length + checkpoint.length === 0)
    return { checks: await suite({ fixtures: fixtures === undefined ? undefined : toFolder(fixtures) }), broken: [] };
  const checks: Check[] = [];
  const findings: TensorReport[] = [];
  const known = golden.length === 0 ? {} : await loadCompositions(compositions);
  for (const path of golden) {
    try {
      const open = async () => openSafetensors(await openFile(path));
      checks.push(...(await goldenChecks(open, path, `golden/${basename(path, '.safetensors')}`, known)));
    } catch (error) {
      const failure = new Findings(path, 'the file', 'float64');
      failure.fail('-', describe(error));
      findings.push(...failure.reports);
    }
  }
  for (const path of checkpoint) checks.push(...(await checkpointChecks(path, path, `checkpoint/${basename(path)}`)));
  return { checks, broken: findings };
}

/** A failed result for each check that was skipped. */
function skippedAsFailed(checks: readonly CheckResult[]): readonly TensorReport[] {
  return checks.flatMap(({ id, source, status, reason }) => {
    if (status !== 'skipped') return [];
    const findings = new Findings(source, id, 'float64');
    findings.fail('-', `was not checked: ${reason}`);
    return findings.reports;
  });
}

function print({ json }: Options, summary: RunSummary): void {
  const { backend, results, passed, failed, skipped, checks } = summary;
  if (json) {
    const printed = results.map(({ message: _, ...result }) => result);
    process.stdout.write(`${JSON.stringify({ backend, results: printed, passed, failed }, null, 2)}\n`);
    if (failed > 0) process.stderr.write(`${formatFailures(results)}\n`);
  } else {
    process.stdout.write(`${formatTable(results)}\n`);
    if (failed > 0) process.stdout.write(`\n${formatFailures(results)}\n`);
    process.stdout.write(formatSkipped(checks));
    process.stdout.write(formatLegend(checks));
    const nothing = pc.yellow('nothing was checked');
    const verdict = failed > 0 ? pc.red(`${failed} failed`) : passed === 0 ? nothing : pc.green('all pass');
    process.stdout.write(`${backend}: ${passed} comparisons passed, ${skipped} checks skipped; ${verdict}\n`);
  }
  process.exitCode = failed > 0 ? 1 : 0;
}

function reportBroken(broken: readonly TensorReport[]): void {
  if (broken.length === 0) return;
  process.stderr.write(`${formatFailures(broken)}\n`);
  process.exitCode = 1;
}

/** Shows the progress in a line of the terminal that overwrites itself; undefined where there is no terminal. */
function progress(): ((result: { id: string }, done: number, total: number) => void) | undefined {
  const { stderr } = process;
  if (!stderr.isTTY) return undefined;
  return ({ id }, done, total) => {
    stderr.clearLine(0);
    stderr.cursorTo(0);
    if (done < total) stderr.write(`${done}/${total} ${id}`.slice(0, (stderr.columns ?? 80) - 1));
  };
}

function explain(error: unknown): string {
  return isMambaError(error) ? messageWithHelp(error) : describe(error);
}

function describe(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
