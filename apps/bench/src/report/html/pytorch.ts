/** Steps of training in PyTorch, as a page shows them beside ours. */
import type { PyTorchTraining } from '../../schema/pytorch-training.ts';
import { formatBytes, formatRate } from '../format.ts';
import { escapeHtml } from './escape.ts';
import { scrolled } from './scrolled.ts';

/** Empty where there are no files. */
export function renderPyTorchTraining(files: readonly PyTorchTraining[]): string {
  if (files.length === 0) return '';
  const lead =
    'Steps of training by peers/pytorch_training.py, which checks its results by itself. Each table names its device.';
  const tables = files.map(renderFile);
  return `<section id="pytorch-training"><h2>Training in PyTorch</h2><p>${lead}</p>${tables.join('')}</section>`;
}

function renderFile({ torch, device, scan, rows }: PyTorchTraining): string {
  const memory = rows.some(({ peakBytes }) => peakBytes !== undefined);
  const head = ['model', 'sequences × tokens', 'products', 'rate', ...(memory ? ['at most'] : [])];
  const headings = head.map((name, index) => `<th scope="col"${index < 3 ? '' : ' class="n"'}>${name}</th>`).join('');
  const body = rows.map(({ name, shape, dtype, tokensPerSecond, peakBytes }) => {
    const [, model = '', graph] = name.split('.');
    const label = `${model}${graph === undefined ? '' : ', CUDA graph'}`;
    const cells = [
      `<th scope="row">${escapeHtml(label)}</th>`,
      `<td>${shape.batch} × ${shape.length}</td>`,
      `<td>${escapeHtml(dtype)}</td>`,
      `<td class="n strong">${formatRate(tokensPerSecond)} tok/s</td>`,
      ...(memory ? [`<td class="n">${peakBytes === undefined ? '' : formatBytes(peakBytes)}</td>`] : []),
    ];
    return `<tr class="first">${cells.join('')}</tr>`;
  });
  const version = torch === undefined ? 'PyTorch' : `PyTorch ${torch}`;
  const what = `${version} on ${device}; the scan: ${scan}`;
  const table = `<table><thead><tr>${headings}</tr></thead><tbody>\n${body.join('\n')}\n</tbody></table>`;
  return `<p class="quiet">${escapeHtml(what)}.</p>${scrolled(`Training in ${version}: every result`, table)}`;
}
