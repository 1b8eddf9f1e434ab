import { invalid } from '@mamba/core';
import { inductionHeads } from '../tasks/induction-heads.ts';
import { selectiveCopying } from '../tasks/selective-copying.ts';
import type { Task } from '../tasks/task.ts';
import { checkLengths } from '../tasks/task.ts';
import { type Config, defaultOf, flagOf, optionsOf, TASKS, type TaskName } from './options.ts';

/**
 * Checks options and completes them, before anything is loaded.
 * @param nameOf How messages name an option: its flag, or its place in a file.
 * @throws MambaError `invalid-argument`
 */
export function resolveConfig(
  task: TaskName,
  given: Readonly<Record<string, unknown>>,
  nameOf: (key: string) => string = flagOf,
): Config {
  const { files, ...others } = given;
  const options = optionsOf(task);
  const unknown = Object.keys(others).find((key) => !options.some((option) => option.key === key));
  if (unknown !== undefined)
    throw invalid(
      nameOf(unknown),
      `no option of ${task}`,
      `one of ${options.map(({ key }) => nameOf(key)).join(', ')}`,
    );
  const entries = options.flatMap((option) => {
    const value = others[option.key] ?? defaultOf(option, task);
    if (value === undefined) return [];
    option.check(nameOf(option.key), value);
    return [[option.key, value] as const];
  });
  const values = { task, ...Object.fromEntries(entries) } as unknown as Config;
  const warmup = values.warmup ?? Math.min(200, Math.floor(values.steps / 10));
  if (warmup > values.steps)
    throw invalid(nameOf('warmup'), String(warmup), `at most ${values.steps}, the number of steps`);
  if (task !== 'lm') {
    if (files !== undefined) throw invalid(nameOf('files'), `files for ${task}`, 'none: its sequences are generated');
    const config = { ...values, warmup, testLengths: values.testLengths ?? values.lengths! };
    for (const key of ['lengths', 'testLengths'] as const) checkLengths(nameOf(key), taskOf(config), config[key]!);
    return config;
  }
  if (!Array.isArray(files) || files.length === 0 || !files.every((file) => typeof file === 'string' && file !== ''))
    throw invalid(nameOf('files'), JSON.stringify(files ?? null), 'a list of files');
  for (const [key, needed] of Object.entries(NEEDS))
    if (values[key as keyof Config] !== undefined && values[needed] === undefined)
      throw invalid(nameOf(key), String(values[key as keyof Config]), `${nameOf(needed)} with it`);
  return { ...values, warmup, files };
}

/** Options that mean nothing without another one. */
const NEEDS = { lora: 'init', loraAlpha: 'lora', loraTargets: 'lora' } as const;

/**
 * Checks the content of a config file: `{ "task": "lm", "files": [...], "steps": 100 }`, with options by their names.
 * @throws MambaError `invalid-argument`
 */
export function parseConfig(origin: string, json: unknown): Config {
  if (typeof json !== 'object' || json === null || Array.isArray(json))
    throw invalid(origin, JSON.stringify(json), 'an object of options');
  const { task, ...options } = json as Record<string, unknown>;
  if (!TASKS.includes(task as TaskName))
    throw invalid(`${origin}: task`, JSON.stringify(task ?? null), `one of ${TASKS.join(', ')}`);
  return resolveConfig(task as TaskName, options, (key) => `${origin}: ${key}`);
}

/**
 * Checks that a training that goes on has the options that it began with.
 * @param saved The options that it was saved with.
 * @throws MambaError `invalid-argument`, naming the first that differs.
 */
export function checkUnchanged(config: Config, saved: unknown): void {
  const fixed = optionsOf(config.task).filter(({ free }) => !free);
  // A save that is older than an option was made with the option's default.
  const defaults = Object.fromEntries(fixed.map((option) => [option.key, defaultOf(option, config.task)]));
  const before = { ...defaults, ...(saved ?? {}) } as Readonly<Record<string, unknown>>;
  const keys = ['task', 'files', ...fixed.map(({ key }) => key)] as const;
  for (const key of keys) {
    const [now, then] = [config[key as keyof Config], before[key]].map((value) => JSON.stringify(value) ?? 'none');
    if (now === then) continue;
    throw invalid(
      key === 'task' ? 'the task' : key === 'files' ? 'the files' : flagOf(key),
      now!,
      `${then}, with which the training in ${config.out} began`,
      'Go on with the same options, or give another --out to begin anew.',
    );
  }
}

/** The synthetic task of a config. */
export function taskOf({ task, dataTokens }: Config): Task {
  return task === 'induction-heads' ? inductionHeads() : selectiveCopying({ tokens: dataTokens });
}
