// npm run check:audit: lets npm look up known faults of what a user's project gets with our packages today, optional
// peers included. It asks the registry, so it is no part of `npm test`.
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { parse } from 'yaml';
import { quiet, root } from '../lib.mjs';
import { publishedPackages, SCOPE } from './packages.mjs';

const { catalog } = parse(readFileSync(join(root, 'pnpm-workspace.yaml'), 'utf8'));
const dependencies = {};
for (const { manifest } of publishedPackages())
  for (const [name, range] of Object.entries({ ...manifest.peerDependencies, ...manifest.dependencies }))
    if (!name.startsWith(`${SCOPE}/`)) dependencies[name] = range === 'catalog:' ? catalog[name] : range;

const folder = mkdtempSync(join(tmpdir(), 'mamba-audit-'));
try {
  writeFileSync(join(folder, 'package.json'), JSON.stringify({ private: true, dependencies }));
  const options = { cwd: folder };
  quiet('npm', ['install', '--package-lock-only', '--ignore-scripts', '--no-audit', '--no-fund'], options);
  console.log(quiet('npm', ['audit', '--audit-level', 'moderate'], options));
} catch (error) {
  console.error(error.message);
  process.exitCode = 1;
} finally {
  rmSync(folder, { recursive: true, force: true });
}
