import type { ComponentChildren } from 'preact';
import { ErrorNote } from './error-note.tsx';
import { type Page, PageLinks } from './page-links.tsx';

interface FrameProps {
  /** The page that is shown. */
  readonly page: Exclude<Page, 'showcase'>;
  /** What the page is for, in a sentence or two. */
  readonly lead: string;
  /** An error that belongs to the page as a whole. */
  readonly error?: string | undefined;
  readonly onDismiss?: () => void;
  /** The text of the status line. */
  readonly status: string;
  readonly children: ComponentChildren;
}

/** What all pages have: the heading, the ways to the other pages, the error, and the status line. */
export function Frame({ page, lead, error, onDismiss = () => {}, status, children }: FrameProps) {
  return (
    <>
      <header class="masthead">
        <PageLinks page={page} />
        <h1>
          Mamba <span>{page === 'models' ? 'playground' : 'training'}</span>
        </h1>
        <p>{lead}</p>
      </header>
      <main>
        {error !== undefined && <ErrorNote words={error} onDismiss={onDismiss} />}
        {children}
      </main>
      <footer class="statusbar">
        <p role="status">{status}</p>
      </footer>
    </>
  );
}
