/** A plot with a readout: by pointer or finger the nearest point, by the arrow keys the next one. */
import { type ChartMark, type ChartRequest, type VersusChart, versusChart } from '../../src/report/versus/charts.ts';
import type { VersusReport } from '../../src/schema/versus.ts';

const HEIGHT = 340;
const SVG = 'http://www.w3.org/2000/svg';

export class ChartView {
  readonly #title = document.createElement('h3');
  readonly #plot = document.createElement('div');
  readonly #readout = document.createElement('output');
  #chart: VersusChart | undefined;
  #ring: SVGCircleElement | undefined;
  /** The mark that is read out. */
  #read: Pick<ChartMark, 'system' | 'length'> | undefined;
  #drawn = '';

  constructor(figure: HTMLElement) {
    this.#plot.className = 'plots';
    this.#plot.tabIndex = 0;
    this.#readout.className = 'quiet';
    figure.append(this.#title, this.#readout, this.#plot);
    this.#plot.addEventListener('pointermove', (event) => this.#point(event));
    this.#plot.addEventListener('pointerdown', (event) => this.#point(event));
    this.#plot.addEventListener('pointerleave', ({ pointerType }) => {
      // After a tap, what was read stays.
      if (pointerType === 'mouse' && document.activeElement !== this.#plot) this.#select(undefined);
    });
    this.#plot.addEventListener('keydown', (event) => this.#key(event));
  }

  draw(
    report: VersusReport,
    { title, ...request }: Omit<ChartRequest, 'width' | 'height'> & { readonly title: string },
  ): void {
    const width = Math.max(Math.floor(this.#plot.clientWidth), 240);
    const points = report.points.filter((point) => point.measure === request.measure);
    // Nothing is drawn again that would look the same.
    const names = report.systems.map(({ name }) => name);
    const key = `${width} ${request.quantity} ${report.startedAt} ${points.length} ${names}`;
    if (key === this.#drawn) return;
    this.#drawn = key;
    this.#title.textContent = title.charAt(0).toUpperCase() + title.slice(1);
    this.#chart = versusChart(report, { ...request, width, height: HEIGHT }, document);
    this.#ring = undefined;
    if (this.#chart === undefined) {
      this.#plot.replaceChildren();
      this.#readout.textContent = 'nothing was measured';
      return;
    }
    const { element } = this.#chart;
    this.#plot.setAttribute('role', 'application');
    this.#plot.setAttribute('aria-roledescription', 'plot');
    this.#plot.setAttribute('aria-label', `${title} over length. Arrow keys go from point to point.`);
    element.setAttribute('aria-hidden', 'true');
    this.#plot.replaceChildren(element);
    const read = this.#read;
    this.#select(read && this.#chart.marks.find((mark) => mark.system === read.system && mark.length === read.length));
  }

  #point({ clientX, clientY }: PointerEvent): void {
    if (this.#chart === undefined) return;
    const box = this.#chart.element.getBoundingClientRect();
    const [x, y] = [clientX - box.left, clientY - box.top];
    let nearest: ChartMark | undefined;
    let least = Number.POSITIVE_INFINITY;
    for (const mark of this.#chart.marks) {
      const distance = Math.hypot(mark.x - x, mark.y - y);
      if (distance < least) [nearest, least] = [mark, distance];
    }
    this.#select(nearest);
  }

  /** Left and right go along a curve, up and down to the curve above or below at the same length. */
  #key(event: KeyboardEvent): void {
    const marks = this.#chart?.marks ?? [];
    const [first] = marks;
    if (first === undefined || !event.key.startsWith('Arrow')) return;
    event.preventDefault();
    const now = marks.find(({ system, length }) => system === this.#read?.system && length === this.#read.length);
    if (now === undefined) {
      this.#select(first);
      return;
    }
    const along = event.key === 'ArrowLeft' || event.key === 'ArrowRight';
    const line = along
      ? marks.filter(({ system }) => system === now.system).toSorted((a, b) => a.x - b.x)
      : marks.filter(({ length }) => length === now.length).toSorted((a, b) => b.y - a.y);
    const step = event.key === 'ArrowRight' || event.key === 'ArrowUp' ? 1 : -1;
    this.#select(line[line.indexOf(now) + step] ?? now);
  }

  #select(mark: ChartMark | undefined): void {
    this.#read = mark;
    // The other curves step back while one is read.
    for (const curve of this.#chart?.element.querySelectorAll('.curve') ?? [])
      curve.classList.toggle('behind', mark !== undefined && !curve.classList.contains(`curve-${mark.system}`));
    this.#ring?.remove();
    this.#ring = undefined;
    if (mark === undefined) {
      this.#readout.textContent = 'Point at a curve, or use the arrow keys.';
      this.#readout.style.removeProperty('--mark');
      return;
    }
    this.#readout.textContent = mark.text;
    this.#readout.style.setProperty('--mark', mark.color);
    const ring = document.createElementNS(SVG, 'circle');
    for (const [name, value] of Object.entries({ cx: mark.x, cy: mark.y, r: 8, fill: 'none', 'stroke-width': 2 }))
      ring.setAttribute(name, String(value));
    ring.style.stroke = 'var(--ink)';
    this.#chart!.element.append(ring);
    this.#ring = ring;
  }
}
