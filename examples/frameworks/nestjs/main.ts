/** A NestJS service: its controller injects the client, `/readyz` includes etcd, SIGTERM shuts it down gracefully. */
import 'reflect-metadata'
import { Body, Controller, Get, Inject, Module, NotFoundException, Param, Put } from '@nestjs/common'
import { NestFactory } from '@nestjs/core'
import { HealthCheck, HealthCheckService, TerminusModule } from '@nestjs/terminus'
import { Etcd } from 'etcdkit'
import { EtcdHealthIndicator, EtcdModule } from './etcd.module.js'

@Controller('flags')
class FlagsController {
  readonly #etcd: Etcd

  constructor(@Inject(Etcd) etcd: Etcd) {
    this.#etcd = etcd
  }

  @Get(':name')
  async read(@Param('name') name: string): Promise<object> {
    const kv = await this.#etcd.get(`flags/${name}`)
    if (kv === undefined) throw new NotFoundException()
    return { value: kv.valueText, revision: kv.modRevision }
  }

  @Put(':name')
  async write(@Param('name') name: string, @Body('value') value: string): Promise<object> {
    const { revision } = await this.#etcd.put(`flags/${name}`, value)
    return { revision }
  }
}

@Controller('readyz')
class ReadinessController {
  readonly #health: HealthCheckService
  readonly #etcd: EtcdHealthIndicator

  constructor(
    @Inject(HealthCheckService) health: HealthCheckService,
    @Inject(EtcdHealthIndicator) etcd: EtcdHealthIndicator,
  ) {
    this.#health = health
    this.#etcd = etcd
  }

  @Get()
  @HealthCheck()
  check(): Promise<object> {
    return this.#health.check([() => this.#etcd.check('etcd')])
  }
}

@Module({
  imports: [
    TerminusModule,
    EtcdModule.forRootAsync({
      useFactory: () => ({ endpoints: process.env.ETCDCTL_ENDPOINTS ?? 'http://127.0.0.1:2379' }),
    }),
  ],
  controllers: [FlagsController, ReadinessController],
})
class AppModule {}

async function bootstrap(): Promise<void> {
  const app = await NestFactory.create(AppModule, { logger: ['error', 'warn'] })
  app.enableShutdownHooks()
  await app.listen(Number(process.env.PORT ?? 8080), process.env.HOST ?? '0.0.0.0')
}

void bootstrap()
