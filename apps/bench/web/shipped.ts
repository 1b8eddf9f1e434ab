/** Results that come with the pages, from the files of results of this repository. */
import { parseReports, type Report } from '../src/schema/report.ts';
import { parseVersus, type VersusReport } from '../src/schema/versus.ts';

export interface Shipped<T> {
  readonly origin: string;
  readonly report: T;
}

/** Where a file of results lies beside the page; a build adds letters to its name. */
interface ShippedFile {
  readonly name: string;
  readonly address: URL;
}

/** Fetches the reports of the bench. */
export function shippedReports(): Promise<readonly Shipped<Report>[]> {
  const files = [
    {
      name: 'epyc-2-cores-targets.json',
      address: new URL('../../../docs/performance/results/epyc-2-cores-targets.json', import.meta.url),
    },
    {
      name: 'h100-start.json',
      address: new URL('../../../docs/performance/results/h100-start.json', import.meta.url),
    },
  ];
  return fetchAll(files, parseReports);
}

/** Fetches the comparisons. */
export function shippedComparisons(): Promise<readonly Shipped<VersusReport>[]> {
  const files = [
    {
      name: 'versus-h100.json',
      address: new URL('../../../docs/performance/results/versus-h100.json', import.meta.url),
    },
    {
      name: 'versus-cpu.json',
      address: new URL('../../../docs/performance/results/versus-cpu.json', import.meta.url),
    },
  ];
  return fetchAll(files, (text, origin) => [parseVersus(text, origin)]);
}

/** One that the host does not have is left out. */
async function fetchAll<T>(
  files: readonly ShippedFile[],
  parse: (text: string, origin: string) => readonly T[],
): Promise<readonly Shipped<T>[]> {
  const found = await Promise.all(
    files.map(async ({ name, address }) => {
      const response = await fetch(address);
      if (!response.ok) return [];
      return parse(await response.text(), name).map((report) => ({ origin: name, report }));
    }),
  );
  return found.flat();
}

/**
 * Offers them in a select of the page, each by what it says of itself.
 * @param choose Is called with the choice, or with undefined for the first entry.
 */
export function offerShipped<T>(
  select: HTMLSelectElement,
  all: readonly Shipped<T>[],
  nameOf: (report: T) => string,
  choose: (chosen: Shipped<T> | undefined) => void,
): void {
  for (const { origin, report } of all) select.append(new Option(nameOf(report), origin));
  select.addEventListener('change', () => choose(all.find(({ origin }) => origin === select.value)));
}
