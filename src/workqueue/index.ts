export { type Work, WorkQueue, type WorkQueueOptions, type WorkQueueStats } from './work-queue.js'
