import { useEffect } from 'preact/hooks';

/** Calls a function once, when an element comes into view. */
export function useSeen(element: { readonly current: Element | null }, onSeen: () => void): void {
  useEffect(() => {
    const observer = new IntersectionObserver((entries) => {
      if (!entries.some(({ isIntersecting }) => isIntersecting)) return;
      observer.disconnect();
      onSeen();
    });
    observer.observe(element.current!);
    return () => observer.disconnect();
  }, []);
}
