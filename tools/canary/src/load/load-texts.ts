/** What the load's users remember: made up, about nobody. */
const MEMORIES = [
  "The spare key to the garden shed hangs behind the blue door.",
  "Lunch with the reading group moves to the second Thursday of the month.",
  "The tall bookcase is to be oiled before the heating season begins.",
  "Train tickets for the coast were booked with seats by the window.",
  "The bakery on the corner sells rye bread from seven in the morning.",
  "The violin lesson was put off until the new strings have come.",
  "Peanuts are left out of every cake because of an allergy.",
  "The bicycle needs a new chain and a lamp that is seen from behind.",
  "The neighbour waters the tomatoes while everybody is away in August.",
  "A green folder in the desk holds the papers of the house.",
  "The choir sings the requiem in the old church on the first of November.",
  "The oven runs hot, so cakes are done ten minutes early.",
  "The kitten is afraid of the vacuum cleaner and sleeps in the laundry.",
  "The ferry to the island leaves from the northern pier on Sundays.",
  "Maths homework is due on Mondays and is kept in the red notebook.",
  "The doctor advised swimming twice a week for the sore shoulder.",
];

const QUERIES = [
  "Where is the spare key?",
  "When does the reading group meet?",
  "What must be done to the bookcase?",
  "Which seats were booked for the journey?",
  "Where can one buy rye bread?",
  "Why was the lesson put off?",
  "Which food has to be left out?",
  "What does the bicycle need?",
  "Who waters the plants in summer?",
  "Where are the papers of the house?",
  "What does the choir sing?",
  "How long do cakes take in this oven?",
];

export const MEMORIES_OF_A_USER = 8;

/** Memories of a user, the same each time. */
export function memoriesOf(credential: number): { key: string; text: string }[] {
  return Array.from({ length: MEMORIES_OF_A_USER }, (_, i) => ({ key: `load-${i}`, text: memoryText(credential + i) }));
}

export function memoryText(i: number): string {
  return MEMORIES[i % MEMORIES.length];
}

export function queryText(i: number): string {
  return QUERIES[i % QUERIES.length];
}
