import type { ComponentChildren } from 'preact';
import { useRef } from 'preact/hooks';
import { useSeen } from './use-seen.ts';

interface SceneProps {
  /** The id of the section, for links to it. */
  readonly id: string;
  readonly title: string;
  /** What the section is about, for readers who know nothing of it. */
  readonly tale: ComponentChildren;
  /** What there is to see and to do. */
  readonly children: ComponentChildren;
  /** Called once, when the section comes into view. */
  readonly onSeen?: () => void;
}

/** A section of the page: what it tells, and what it shows. */
export function Scene({ id, title, tale, children, onSeen = () => {} }: SceneProps) {
  const section = useRef<HTMLElement>(null);
  useSeen(section, onSeen);
  return (
    <section ref={section} id={id} class="scene" aria-labelledby={`${id}-heading`}>
      <div class="tale">
        <h2 id={`${id}-heading`}>{title}</h2>
        {tale}
      </div>
      <div class="stage">{children}</div>
    </section>
  );
}
