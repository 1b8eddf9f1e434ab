/** Publishes tarballs to a registry: those that it lacks, a package after those that it depends on. */
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { quiet, run } from '../lib.mjs';

/**
 * Publishes what the registry lacks of a release, so that a release that stopped goes on where it stopped.
 * @param files paths of the tarballs
 * @param options `registry`, an address; `tag`, the name under which npm finds the version; `provenance`, whether npm
 * lets the continuous integration sign where the files come from
 * @throws before anything is published, where there is nothing to publish or a version has other contents there
 */
export async function publishTarballs(files, { registry, tag, provenance }) {
  const packed = inOrder(files.map(readTarball));
  for (const each of packed) each.published = await integrityAt(registry, each);
  refuse(packed, registry);
  let done = packed.filter(({ published }) => published !== undefined).length;
  for (const { name, version, file, published } of packed) {
    if (published !== undefined) {
      console.log(`${name}@${version} is there already`);
      continue;
    }
    console.log(`${name}@${version}`);
    const signed = provenance ? ['--provenance'] : [];
    if (run('npm', ['publish', file, ...optionsOf(registry, tag), ...signed]) !== 0)
      throw new Error(
        `${name}@${version} was not published; ${done} of ${packed.length} packages are. ` +
          `Mend what npm says above and run the same command again: it goes on with ${name}`,
      );
    done++;
  }
}

/** Lets npm tell what it would publish. */
export function tryTarballs(files, { registry, tag }) {
  for (const { name, file } of inOrder(files.map(readTarball)))
    if (run('npm', ['publish', file, '--dry-run', ...optionsOf(registry, tag)]) !== 0)
      throw new Error(`npm would not publish ${name}: mend what it says above`);
}

/** npm takes a version that is lower than one of others under the tag `latest` only where the tag is named. */
const optionsOf = (registry, tag) => ['--registry', registry, '--tag', tag, '--access', 'public', '--loglevel=error'];

/** Returns what a tarball holds, with its hash. */
export function readTarball(file) {
  const manifest = JSON.parse(quiet('tar', ['-xzOf', file, 'package/package.json']));
  const { name, version } = manifest;
  const integrity = `sha512-${createHash('sha512').update(readFileSync(file)).digest('base64')}`;
  return { file, name, version, manifest, integrity };
}

/** Sorts packages so that each stands behind those that it needs, whatever part of them the registry takes. */
function inOrder(packed) {
  const sorted = new Set();
  const visit = (each) => {
    if (sorted.has(each)) return;
    const { dependencies, peerDependencies } = each.manifest;
    for (const needed of packed) if (needed.name in { ...dependencies, ...peerDependencies }) visit(needed);
    sorted.add(each);
  };
  for (const each of packed) visit(each);
  return [...sorted];
}

/** Returns the hash of a version in the registry, or undefined where it has none. */
async function integrityAt(registry, { name, version }) {
  const address = new URL(name.replace('/', '%2f'), registry.endsWith('/') ? registry : `${registry}/`);
  const response = await fetch(address).catch((error) => {
    throw new Error(`${registry} does not answer (${error.cause?.message ?? error.message}): name another --registry`);
  });
  if (response.status === 404) return undefined;
  if (!response.ok) throw new Error(`${address} answers ${response.status}: it has to show what is published`);
  const { versions = {} } = await response.json();
  return versions[version]?.dist.integrity;
}

const NEXT =
  'Describe the change with `npx changeset`, run `npm run version:packages`, commit, and release that version';

function refuse(packed, registry) {
  const changed = packed.filter(({ published, integrity }) => published !== undefined && published !== integrity);
  if (changed.length > 0) {
    const names = changed.map(({ name, version }) => `${name}@${version}`).join(', ');
    throw new Error(`${registry} has ${names} with other contents, and a version is published once. ${NEXT}`);
  }
  if (packed.every(({ published }) => published !== undefined))
    throw new Error(`all of ${packed[0].version} is published already (${packed.length} packages). ${NEXT}`);
}
