# Nodes: what GKE asks for, and reading images.
resource "google_service_account" "nodes" {
  project      = var.project_id
  account_id   = "${var.cluster_name}-nodes"
  display_name = "Nodes of ${var.cluster_name}"
}

resource "google_project_iam_member" "nodes" {
  for_each = toset([
    "roles/logging.logWriter",
    "roles/monitoring.metricWriter",
    "roles/monitoring.viewer",
    "roles/stackdriver.resourceMetadata.writer",
  ])

  project = var.project_id
  role    = each.value
  member  = google_service_account.nodes.member
}

resource "google_service_account_iam_member" "deployer" {
  count = var.deployer_service_account == "" ? 0 : 1

  service_account_id = google_service_account.nodes.name
  role               = "roles/iam.serviceAccountUser"
  member             = "serviceAccount:${var.deployer_service_account}"
}

# Workers: the bucket, by the Kubernetes service account that the chart gives them.
resource "google_service_account" "workers" {
  project      = var.project_id
  account_id   = "${var.cluster_name}-sie"
  display_name = "Workers of ${var.cluster_name}"
}

resource "google_service_account_iam_member" "workers" {
  count = var.enable_workload_identity ? 1 : 0

  service_account_id = google_service_account.workers.name
  role               = "roles/iam.workloadIdentityUser"
  member             = "serviceAccount:${var.project_id}.svc.id.goog[${var.sie_namespace}/${var.sie_service_account_name}]"

  # The pool of identities comes with the first cluster of a project.
  depends_on = [google_container_cluster.this]
}
