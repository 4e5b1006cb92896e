/** What gc keeps where nobody says otherwise. */

/** Milliseconds: what is younger stays. */
export const defaultGrace = 60 * 60 * 1000;
/** Earlier values of each reference. */
export const defaultKeepHistory = 10;
