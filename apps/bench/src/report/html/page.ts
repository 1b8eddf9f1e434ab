/** The report as one HTML file: no network, no scripts. */
import { parseHTML } from 'linkedom';
import type { PyTorchTraining } from '../../schema/pytorch-training.ts';
import type { ReportSet } from '../../schema/report.ts';
import { version } from '../../version.ts';
import { renderBody } from './body.ts';
import { escapeHtml } from './escape.ts';
import { renderPyTorchTraining } from './pytorch.ts';
import { css } from './style.ts';

/** @param training Files of peers/pytorch_training.py, which stand behind the suites. */
export function renderHtml(
  set: Pick<ReportSet, 'reports' | 'notes'>,
  training: readonly PyTorchTraining[] = [],
): string {
  const { document } = parseHTML('<!doctype html><html><body></body></html>');
  const count = set.reports.length;
  const title = 'Mamba in JavaScript, measured';
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="generator" content="mamba-bench ${escapeHtml(version)}">
<title>${title}</title>
<style>${css}</style>
</head>
<body>
<main>
<h1>${title}</h1>
<p class="quiet">${count === 1 ? 'One machine' : `${count} machines`}; every number was checked against a float64 reference in the run that made it.</p>
${renderBody(set, document, renderPyTorchTraining(training))}
</main>
</body>
</html>
`;
}
